//! The physical limit: a program that redirects by a static table, attached where a relay's would be.
//!
//! A relay without any offload sets the calls up; what it answers fills the table, and none of their packets
//! reaches it. The bytes are those of `ebpf/xdp/src/bare.rs`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use aya::maps::{Array, DevMapHash, MapData};
use aya::programs::links::LinkOrder;
use aya::programs::tc::TcAttachOptions;
use aya::programs::{SchedClassifier, TcAttachType, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use patchcord_contract::checksum::Update;
use patchcord_offload::{Device, Hook};

use super::lab::{INTERFACES, Lab, RELAY};
use crate::io::Side;
use crate::load::RtpStream;
use crate::os::netns;

/// What `ebpf/build.sh` made, from the top folder.
const OBJECT: &str = "ebpf/bare.o";

/// Addresses, ports, changes of the checksums, link addresses, interface.
type Onward = [u8; 32];

/// The program, attached to both of the relay's interfaces as long as this value lives.
pub(crate) struct Redirect {
    _ebpf: Ebpf,
    table: Array<MapData, Onward>,
    /// Where the table says something.
    entered: Vec<u32>,
    /// The relay's address towards the offering side.
    near: IpAddr,
    /// Index of the interface towards either side.
    indices: [u32; 2],
    /// Link addresses of what leaves towards either side.
    links: [[[u8; 6]; 2]; 2],
}

impl Redirect {
    /// Attaches the program in the relay's namespace.
    pub(crate) fn attach(hook: Hook, lab: &Lab) -> Result<Self> {
        let near = lab.relay_ip(0);
        let (address, _) = v4(SocketAddr::new(near, 0))?;
        let address = u32::from_ne_bytes(address.octets());
        let mut ebpf = EbpfLoader::new()
            .override_global("NEAR", &address, true)
            .load_file(OBJECT)
            .with_context(|| format!("loading {OBJECT}"))?;
        let indices = netns::inside(Some(RELAY), || {
            let devices = INTERFACES.map(|name| format!("{RELAY}{name}"));
            let mut indices = [0; 2];
            for (name, index) in devices.iter().zip(&mut indices) {
                *index = Device::find(name).with_context(|| name.clone())?.index;
            }
            open_devices(&mut ebpf, indices)?;
            for (name, index) in devices.iter().zip(indices) {
                attach(&mut ebpf, hook, name, index)
                    .with_context(|| format!("{hook} on {name}"))?;
            }
            Ok(indices)
        })?;
        let table = ebpf.take_map("TABLE").context("no table")?;
        Ok(Self {
            _ebpf: ebpf,
            table: Array::try_from(table)?,
            entered: Vec::new(),
            near,
            indices,
            links: [0, 1].map(|side| lab.links(side)),
        })
    }

    /// Enters the streams in the place of those that were there.
    pub(crate) fn fill(&mut self, streams: &[RtpStream]) -> Result<()> {
        for local in self.entered.drain(..) {
            self.table.set(local, [0; 32], 0)?;
        }
        for stream in streams {
            let side = match stream.side() {
                Side::Offerer => 1,
                Side::Answerer => 0,
            };
            let onward = onward(stream, self.links[side], self.indices[side])?;
            let local = stream.route.to;
            let place = u32::from(local.ip() != self.near) << 16 | u32::from(local.port());
            self.table.set(place, onward, 0)?;
            self.entered.push(place);
        }
        Ok(())
    }
}

/// Lets XDP hand frames to these interfaces.
fn open_devices(ebpf: &mut Ebpf, indices: [u32; 2]) -> Result<()> {
    let map = ebpf.map_mut("PORTS").context("no device map")?;
    let mut ports: DevMapHash<_> = DevMapHash::try_from(map)?;
    for index in indices {
        ports.insert(index, index, None, 0)?;
    }
    Ok(())
}

fn attach(ebpf: &mut Ebpf, hook: Hook, name: &str, index: u32) -> Result<()> {
    let mode = match hook {
        Hook::Native => XdpMode::Driver,
        Hook::Generic => XdpMode::Skb,
        Hook::Tc => {
            let program = ebpf.program_mut("bare_tc").context("no tc program")?;
            let program: &mut SchedClassifier = program.try_into()?;
            if program.fd().is_err() {
                program.load()?;
            }
            let order = TcAttachOptions::TcxOrder(LinkOrder::first());
            program.attach_with_options(name, TcAttachType::Ingress, order)?;
            return Ok(());
        }
    };
    let program = ebpf.program_mut("bare_xdp").context("no XDP program")?;
    let program: &mut Xdp = program.try_into()?;
    if program.fd().is_err() {
        program.load()?;
    }
    program.attach_to_if_index(index, mode)?;
    Ok(())
}

type V4 = (Ipv4Addr, u16);

fn v4(addr: SocketAddr) -> Result<V4> {
    match addr.ip() {
        IpAddr::V4(ip) => Ok((ip, addr.port())),
        IpAddr::V6(_) => bail!("the bare program knows IPv4 only"),
    }
}

/// What becomes of the stream's packets.
fn onward(stream: &RtpStream, links: [[u8; 6]; 2], interface: u32) -> Result<Onward> {
    let [source, local, from, to] = [
        stream.route.from,
        stream.route.to,
        stream.arrives_from,
        stream.arrives_at,
    ]
    .map(v4);
    let (source, local, from, to) = (source?, local?, from?, to?);
    let addresses = Update::nothing()
        .replace(&source.0.octets(), &from.0.octets())
        .replace(&local.0.octets(), &to.0.octets());
    let ports = addresses.word(source.1, from.1).word(local.1, to.1);
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&from.0.octets());
    bytes[4..8].copy_from_slice(&to.0.octets());
    bytes[8..10].copy_from_slice(&from.1.to_be_bytes());
    bytes[10..12].copy_from_slice(&to.1.to_be_bytes());
    bytes[12..14].copy_from_slice(&addresses.sum().to_be_bytes());
    bytes[14..16].copy_from_slice(&ports.sum().to_be_bytes());
    bytes[16..28].copy_from_slice(links.as_flattened());
    bytes[28..].copy_from_slice(&interface.to_ne_bytes());
    Ok(bytes)
}
