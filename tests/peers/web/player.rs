//! ffmpeg at the plain end: it plays what an SDP file of the relay announces, or sends a picture and a tone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use patchcord_tests::{Host, Program, Sdp, Site, tone, until};

/// How long the first key frame and half a second of sound may take.
const PLAYING: Duration = Duration::from_secs(40);
/// Samples a second of what it writes.
const RATE: u32 = 48_000;

/// A running ffmpeg that decodes audio into samples and video into a line for each frame.
pub(crate) struct Player {
    program: Program,
    directory: PathBuf,
}

impl Player {
    /// Starts it at `host` with the file as the relay wrote it: it listens on the ports that the file names.
    pub(crate) fn start(site: &Site, host: &Host, sdp: &Sdp) -> Self {
        let file = site.scratch.file("player/offer.sdp", sdp.text());
        let directory = file.parent().expect("it has one").to_owned();
        let line = format!(
            "ffmpeg -nostdin -loglevel warning -protocol_whitelist file,udp,rtp -i {} \
             -flush_packets 1 -map 0:a -ac 1 -ar {RATE} -af asetpts=N/SR/TB -f s16le heard.raw \
             -flush_packets 1 -map 0:v -vf setpts=N/15/TB -f framecrc seen.txt",
            file.display()
        );
        let command: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let log = directory.join("log");
        let program = Program::start_in(&host.netns, "ffmpeg", &command, &log, &directory);
        let video = sdp.rtp(1).port();
        until("ffmpeg to listen", PLAYING, || host.netns.has_udp(video));
        Self { program, directory }
    }

    /// Waits until it has decoded so many frames, and half a second of what it has heard is this tone.
    pub(crate) fn wait_to_play(&mut self, frames: usize, hertz: u32) {
        until("ffmpeg to decode video", PLAYING, || {
            assert!(self.program.is_running(), "ffmpeg ended");
            self.frames() >= frames
        });
        until("ffmpeg to hear the tone", PLAYING, || self.hears(hertz));
    }

    /// Frames that it has decoded.
    fn frames(&self) -> usize {
        let lines = std::fs::read_to_string(self.directory.join("seen.txt")).unwrap_or_default();
        lines.lines().filter(|line| !line.starts_with('#')).count()
    }

    fn hears(&self, hertz: u32) -> bool {
        let octets = std::fs::read(self.directory.join("heard.raw")).unwrap_or_default();
        let samples = octets.as_chunks::<2>().0.iter();
        let samples: Vec<i16> = samples.map(|&sample| i16::from_le_bytes(sample)).collect();
        let wanted = RATE as usize / 2;
        let tail = samples.len().checked_sub(wanted);
        tail.is_some_and(|at| tone::is_heard(&samples[at..], RATE.into(), hertz.into()))
    }
}

/// Starts an ffmpeg at `host` that sends a moving picture in VP8 and a tone in Opus, each from a port of its own
/// to one of `peers`, with these payload types.
pub(crate) fn camera(
    site: &Site,
    host: &Host,
    hertz: u32,
    from: [u16; 2],
    peers: [SocketAddr; 2],
    types: [u8; 2],
) -> Program {
    let directory = site.scratch.path().to_owned();
    let [audio, video] = [0, 1].map(|at| {
        format!(
            "-payload_type {} -f rtp rtp://{}?localrtpport={}&localrtcpport={}",
            types[at],
            peers[at],
            from[at],
            from[at] + 1
        )
    });
    let line = format!(
        "ffmpeg -nostdin -loglevel warning -re -f lavfi -i sine=frequency={hertz}:sample_rate={RATE} \
         -re -f lavfi -i testsrc=size=320x240:rate=15 \
         -map 0:a -c:a libopus -ac 2 {audio} \
         -map 1:v -c:v libvpx -deadline realtime -cpu-used 8 -g 15 -b:v 300k -pix_fmt yuv420p {video}"
    );
    let command: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let log = directory.join("camera.log");
    Program::start_in(&host.netns, "camera", &command, &log, &directory)
}
