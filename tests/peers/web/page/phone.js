// A phone in a page: JsSIP signals, WebAudio makes the tone that it says and tells which one it hears.
// The tests call these functions from outside and read what they return.
'use strict';

const JsSIP = resolve('', 'jssip');
const far = document.getElementById('far');
const audio = new AudioContext();
const said = audio.createMediaStreamDestination();
const oscillator = audio.createOscillator();
oscillator.connect(said);
const events = [];
let ua = null;
let session = null;
let options = {};
let registrations = 0;
let analyser = null;
let tapped = null;

// What is sent: the tone, and where asked the camera's picture.
async function media(video) {
    const tracks = said.stream.getAudioTracks();
    if (video) {
        const camera = await navigator.mediaDevices.getUserMedia({
            video: { width: 320, height: 240, frameRate: 15 },
        });
        tracks.push(...camera.getVideoTracks());
    }
    return new MediaStream(tracks);
}

// Registers `user` at the proxy and waits for that. `settings`: hertz, video, answers, microphone,
// configuration, codecs.
async function register(user, proxy, settings) {
    options = settings;
    oscillator.frequency.value = settings.hertz;
    oscillator.start();
    await audio.resume();
    if (settings.microphone) await navigator.mediaDevices.getUserMedia({ audio: true });
    const socket = new JsSIP.WebSocketInterface(`ws://${proxy}:8080`);
    ua = new JsSIP.UA({ sockets: [socket], uri: `sip:${user}@${proxy}`, register: true, session_timers: false });
    ua.on('newRTCSession', ({ originator, session: begun }) => {
        take(begun);
        if (originator === 'remote' && settings.answers) answer();
    });
    const registered = new Promise((good, bad) => {
        ua.on('registered', () => {
            registrations += 1;
            good(true);
        });
        ua.on('registrationFailed', (event) => bad(new Error(event.cause)));
    });
    ua.start();
    return registered;
}

function take(begun) {
    session = begun;
    // What was heard in a call before is none of this one's.
    far.srcObject = null;
    tapped?.disconnect();
    [tapped, analyser] = [null, null];
    const tell = (name) => begun.on(name, (event) => events.push([name, event?.cause ?? event?.originator ?? '']));
    ['progress', 'accepted', 'confirmed', 'ended', 'failed', 'hold', 'unhold', 'reinvite'].forEach(tell);
    // Gathering may take as long as the slowest of its servers; pages do not wait for that.
    begun.on('icecandidate', ({ ready }) => setTimeout(ready, 1000));
    if (begun.connection) watch(begun.connection);
    else begun.on('peerconnection', ({ peerconnection }) => watch(peerconnection));
}

function watch(connection) {
    if (options.codecs) prefer(connection);
    connection.addEventListener('track', ({ track }) => {
        const stream = far.srcObject ?? new MediaStream();
        stream.addTrack(track);
        far.srcObject = stream;
        if (track.kind === 'audio') listen(track);
    });
}

// Only these codecs, one of each kind, are offered.
function prefer(connection) {
    const create = connection.createOffer.bind(connection);
    connection.createOffer = (...words) => {
        connection.getTransceivers().forEach((transceiver) => {
            const { kind } = transceiver.receiver.track;
            const all = RTCRtpReceiver.getCapabilities(kind).codecs;
            const wanted = all.filter(({ mimeType }) => mimeType === `${kind}/${options.codecs[kind]}`);
            if (wanted.length > 0) transceiver.setCodecPreferences(wanted.slice(0, 1));
        });
        return create(...words);
    };
}

function listen(track) {
    tapped?.disconnect();
    tapped = audio.createMediaStreamSource(new MediaStream([track]));
    analyser = audio.createAnalyser();
    analyser.fftSize = 8192;
    analyser.smoothingTimeConstant = 0;
    tapped.connect(analyser);
}

async function terms() {
    return {
        mediaStream: await media(options.video),
        pcConfig: options.configuration ?? {},
        rtcOfferConstraints: options.offer,
    };
}

async function dial(user) {
    ua.call(user, await terms());
}

async function answer() {
    session.answer(await terms());
}

// What part of all that is heard lies within 30 Hz of `hertz`.
function share(hertz) {
    if (!analyser) return 0;
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const width = audio.sampleRate / analyser.fftSize;
    let [near, all] = [0, 0];
    bins.forEach((decibel, bin) => {
        const power = 10 ** (decibel / 10);
        if (decibel < -70) return;
        all += power;
        if (Math.abs(bin * width - hertz) < 30) near += power;
    });
    return all === 0 ? 0 : near / all;
}

function hold() {
    return session.hold();
}

function unhold() {
    return session.unhold();
}

function hangUp() {
    session.terminate();
}

// New candidates and credentials, in a re-INVITE.
function restartIce() {
    return session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
}

// A picture more, in a re-INVITE.
async function addVideo() {
    const stream = await media(true);
    stream.getVideoTracks().forEach((track) => session.connection.addTrack(track, stream));
    return session.renegotiate();
}

// What a page does that has seen its network change: a new connection for SIP, then ICE anew.
function reconnect() {
    ua.transport.disconnect();
    ua.transport.connect();
}

function happened(name) {
    return events.filter(([event]) => event === name).length;
}

// What the browser itself counts.
async function stats() {
    const report = { connection: session?.connection?.connectionState ?? 'none', audio: null, video: null, pair: null };
    if (!session?.connection) return report;
    const all = await session.connection.getStats();
    all.forEach((one) => {
        if (one.type === 'inbound-rtp') {
            // There may be several: one that began before its SSRC was known is counted beside what is shown.
            const sum = report[one.kind] ?? { codec: '' };
            const counts = {
                packets: one.packetsReceived,
                frames: one.framesDecoded,
                keyFrames: one.keyFramesDecoded,
                received: one.framesReceived,
                nacks: one.nackCount,
                plis: one.pliCount,
                repeated: one.retransmittedPacketsReceived,
                lost: one.packetsLost,
                streams: 1,
            };
            Object.entries(counts).forEach(([name, count]) => {
                sum[name] = (sum[name] ?? 0) + (count ?? 0);
            });
            sum.codec = all.get(one.codecId)?.mimeType ?? sum.codec;
            report[one.kind] = sum;
        }
        if (one.type === 'candidate-pair' && (one.selected ?? one.nominated) && one.state === 'succeeded') {
            const local = all.get(one.localCandidateId);
            report.pair = { local: local?.candidateType, address: local?.address ?? '', protocol: local?.protocol };
        }
    });
    return report;
}

function told() {
    return { events, local: session?.connection?.localDescription?.sdp ?? '', remote: session?.connection?.remoteDescription?.sdp ?? '', audio: audio.state };
}

// Functions are there before what they use is; this is the last to come.
window.isReady = true;
