//! A directory for one test: logs, configuration, recordings. Kept when the test fails, and all of them with
//! `PATCHCORD_TEST_KEEP=1`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::last_words;

/// A directory under the system's temporary one, gone with a test that passed.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new empty directory.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pct-{}-{number}", std::process::id()));
        // A former process of the same id may have left one behind by failing.
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in it and gives its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        let parent = path.parent().expect("a file in the directory has a parent");
        std::fs::create_dir_all(parent).expect("the directory is writable");
        std::fs::write(&path, contents).expect("the directory is writable");
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        last_words::say();
        if !std::thread::panicking() && std::env::var_os("PATCHCORD_TEST_KEEP").is_none() {
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}
