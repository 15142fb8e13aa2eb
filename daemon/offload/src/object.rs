//! The committed object, loaded: its programs, its maps, and a way to run a program without an interface.
//!
//! Invariant of the unsafe code: what is copied to and from the kernel as bytes is `repr(C)`, has no bytes
//! without a name, and is made of integers.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{Array, DevMapHash, HashMap, Map, MapData, XskMap};
use aya::programs::{
    Program as Loaded, ProgramError, SchedClassifier, TestRun as _, TestRunOptions, TestRunResult,
    Xdp,
};
use aya::{Ebpf, EbpfError, EbpfLoader, Pod, include_bytes_aligned};
use patchcord_contract::{Lane, Locals, Queue, Settings, Tally, Way};

use crate::book::{Book, Maps};
use crate::lanes::{Entrance, Gate, Lanes};
use crate::table::Table;

/// What `ebpf/build.sh` made.
static OBJECT: &[u8] = include_bytes_aligned!("../../../ebpf/xdp.o");

/// A type of the contract as bytes for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Wire<T>(pub T);

// SAFETY: `repr(C)`, integers and arrays of them, no padding (asserted beside the definitions).
unsafe impl Pod for Wire<Way> {}
// SAFETY: as above.
unsafe impl Pod for Wire<Queue> {}
// SAFETY: as above.
unsafe impl Pod for Wire<Lane> {}
// SAFETY: as above.
unsafe impl Pod for Wire<Settings> {}
// SAFETY: as above.
unsafe impl Pod for Wire<Tally> {}

/// How much the maps of the program hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Entries, and tallies.
    pub entries: u32,
    /// Local addresses that packets can be for, up to [`Locals::MOST`]; each takes 512 KiB.
    pub locals: u32,
    /// Receive queues that lead to a worker.
    pub lanes: u32,
}

impl Sizes {
    /// Room for entries alone.
    pub const fn entries(entries: u32) -> Self {
        Self {
            entries,
            locals: Locals::MOST as u32,
            lanes: 1,
        }
    }
}

/// The program in the kernel, not attached to anything.
pub struct Program {
    ebpf: Ebpf,
    book: Arc<Book>,
    sizes: Sizes,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}

/// What a program did with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What it returned.
    pub action: u32,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// How long it took, once.
    pub took: Duration,
}

impl Program {
    /// Loads the object with that room, and nothing of it runs.
    pub fn load(settings: Settings, sizes: Sizes) -> Result<Self, EbpfError> {
        let settings = Wire(settings);
        let ebpf = EbpfLoader::new()
            .override_global("SETTINGS", &settings, true)
            .map_max_entries("ENTRIES", sizes.entries)
            .map_max_entries("TALLIES", sizes.entries)
            .map_max_entries("PORTS", sizes.locals << 16)
            .map_max_entries("LANES", sizes.lanes)
            .map_max_entries("SOCKETS", sizes.lanes)
            .load(OBJECT)?;
        let book = open(&ebpf, sizes)?;
        Ok(Self { ebpf, book, sizes })
    }

    /// The program for native and generic XDP; loaded when it is asked for first.
    pub fn xdp(&mut self) -> Result<&mut Xdp, ProgramError> {
        let program: &mut Xdp = self.program("patchcord_xdp")?.try_into()?;
        if program.fd().is_err() {
            program.load()?;
        }
        Ok(program)
    }

    /// The program for tcx; loaded when it is asked for first.
    pub fn tc(&mut self) -> Result<&mut SchedClassifier, ProgramError> {
        let program: &mut SchedClassifier = self.program("patchcord_tc")?.try_into()?;
        if program.fd().is_err() {
            program.load()?;
        }
        Ok(program)
    }

    /// Runs the XDP program on a frame.
    pub fn run_xdp(&mut self, frame: &[u8], repeat: u32) -> Result<Ran, ProgramError> {
        let mut out = vec![0; frame.len() + 256];
        let program = self.xdp()?;
        let ran = program.test_run(options(frame, &mut out, repeat))?;
        Ok(ended(&ran, out))
    }

    /// Runs the tc program on a frame.
    pub fn run_tc(&mut self, frame: &[u8], repeat: u32) -> Result<Ran, ProgramError> {
        let mut out = vec![0; frame.len() + 256];
        let program = self.tc()?;
        let ran = program.test_run(options(frame, &mut out, repeat))?;
        Ok(ended(&ran, out))
    }

    /// Lets packets leave by an interface that routes name as `index`.
    pub fn add_way(&mut self, index: u32, way: Way) -> Result<(), EbpfError> {
        let mut ways: HashMap<_, u32, Wire<Way>> = HashMap::try_from(self.map("WAYS")?)?;
        ways.insert(index, Wire(way), 0)?;
        Ok(())
    }

    /// Lets XDP hand frames to the interface `index`.
    pub fn add_device(&mut self, index: u32) -> Result<(), EbpfError> {
        let mut devices: DevMapHash<_> = DevMapHash::try_from(self.map("DEVICES")?)?;
        devices
            .insert(index, index, None, 0)
            .map_err(|error| EbpfError::FileError {
                path: "DEVICES".into(),
                error: io::Error::other(error),
            })
    }

    /// A table for each worker: an equal share of the entries that the program was loaded with.
    pub fn tables(&self, workers: usize) -> io::Result<Vec<Table>> {
        let share = self.sizes.entries / workers.max(1) as u32;
        (0..workers as u32)
            .map(|nth| {
                let own = nth * share..(nth + 1) * share;
                let news = self.share("NEWS").map_err(io::Error::other)?;
                let news = Array::try_from(news).map_err(io::Error::other)?;
                Ok(Table::new(Arc::clone(&self.book), own, news))
            })
            .collect()
    }

    /// The lanes of `worker`, which lead from these queues.
    pub fn lanes(&self, worker: u8, queues: Vec<Entrance>) -> io::Result<Lanes> {
        let of = |error: EbpfError| io::Error::other(error);
        Ok(Lanes::new(
            worker,
            queues,
            Gate::new(worker, Arc::clone(&self.book)),
            HashMap::try_from(self.share("LANES").map_err(of)?).map_err(io::Error::other)?,
            XskMap::try_from(self.share("SOCKETS").map_err(of)?).map_err(io::Error::other)?,
        ))
    }

    /// A handle of a map of its own.
    fn share(&self, name: &'static str) -> Result<Map, EbpfError> {
        let (data, kind): (_, fn(MapData) -> Map) = match self.ebpf.map(name) {
            Some(Map::HashMap(data)) => (data, Map::HashMap),
            Some(Map::XskMap(data)) => (data, Map::XskMap),
            Some(Map::Array(data)) => (data, Map::Array),
            _ => return Err(absent(name)),
        };
        let fd = data.fd().as_fd().try_clone_to_owned();
        let fd = fd.map_err(|error| EbpfError::FileError {
            path: name.into(),
            error,
        })?;
        Ok(kind(MapData::from_fd(fd)?))
    }

    /// Reads a tally by a system call, for tests of the mapping.
    pub fn tally(&mut self, index: u32) -> Result<Tally, EbpfError> {
        let tallies: Array<_, Wire<Tally>> = Array::try_from(self.map("TALLIES")?)?;
        Ok(tallies.get(&index, 0)?.0)
    }

    fn map(&mut self, name: &'static str) -> Result<&mut Map, EbpfError> {
        self.ebpf.map_mut(name).ok_or_else(|| absent(name))
    }

    fn program(&mut self, name: &'static str) -> Result<&mut Loaded, ProgramError> {
        self.ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)
    }
}

/// The maps of a program that was loaded with that room, as memory.
fn open(ebpf: &Ebpf, sizes: Sizes) -> Result<Arc<Book>, EbpfError> {
    let array = |name| match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data),
        _ => Err(absent(name)),
    };
    let book = Book::open(&Maps {
        locals: array("LOCALS")?,
        ports: array("PORTS")?,
        entries: array("ENTRIES")?,
        tallies: array("TALLIES")?,
        slots: sizes.entries,
        places: sizes.locals,
    });
    book.map(Arc::new).map_err(|error| EbpfError::FileError {
        path: "PORTS".into(),
        error,
    })
}

fn absent(name: &str) -> EbpfError {
    EbpfError::FileError {
        path: name.into(),
        error: io::ErrorKind::NotFound.into(),
    }
}

fn options<'a>(frame: &'a [u8], out: &'a mut [u8], repeat: u32) -> TestRunOptions<'a> {
    TestRunOptions {
        data_in: Some(frame),
        data_out: Some(out),
        repeat,
        ..TestRunOptions::default()
    }
}

fn ended(ran: &TestRunResult, mut frame: Vec<u8>) -> Ran {
    frame.truncate(ran.data_size_out as usize);
    Ran {
        action: ran.return_value,
        frame,
        took: ran.duration,
    }
}
