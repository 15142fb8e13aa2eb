// CommonJS in a page, so that JsSIP runs as npm delivers it, without a bundler of its own dependencies.
'use strict';

// What of a package a browser is given where only its name is asked for.
const entries = {
    debug: 'src/browser.js',
    events: 'events.js',
    jssip: 'lib/JsSIP.js',
    ms: 'index.js',
    'sdp-transform': 'lib/index.js',
};
const loaded = new Map();

function fetchText(path) {
    const request = new XMLHttpRequest();
    request.open('GET', path, false);
    request.send();
    return request.status === 200 ? request.responseText : null;
}

function load(path) {
    for (const candidate of [path, `${path}.js`]) {
        if (loaded.has(candidate)) return loaded.get(candidate).exports;
        if (!/\.js(on)?$/.test(candidate)) continue;
        const text = fetchText(candidate);
        if (text === null) continue;
        const module = { exports: {} };
        loaded.set(candidate, module);
        if (candidate.endsWith('.json')) {
            module.exports = JSON.parse(text);
        } else {
            const directory = candidate.slice(0, candidate.lastIndexOf('/'));
            const run = new Function('require', 'module', 'exports', `${text}\n//# sourceURL=${candidate}`);
            run((name) => resolve(directory, name), module, module.exports);
        }
        return module.exports;
    }
    throw new Error(`there is no module ${path}`);
}

function resolve(directory, name) {
    if (name.startsWith('.')) return load(new URL(name, `http://page${directory}/`).pathname);
    return load(`/node_modules/${name}/${entries[name]}`);
}
