//! Agents in their calls: what arrives for them, what they send, what they decide.

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::{Command, PortId};
use tracing::{debug, info, warn};

use crate::call::Call;
use crate::calls::CallKey;
use crate::control::refresh;
use crate::ice::{Event, Standing};
use crate::{Clock, Control};

impl Control {
    /// Lets agents do what is due: checks, their repetitions, consent.
    pub fn pulse(&mut self, clock: Clock, commands: &mut Vec<Command>) {
        while let Some(key) = self.calls.pop_pulse(clock.now) {
            let Some(call) = self.calls.get_mut(key) else {
                continue;
            };
            for ice in call
                .legs
                .iter_mut()
                .filter_map(|leg| leg.ice.as_deref_mut())
            {
                if ice.agent.next().is_some_and(|next| next <= clock.now) {
                    let random = self.random.source();
                    ice.agent.tick(clock.now, random, &mut ice.out);
                }
            }
            self.heed_agents(clock, key, commands);
        }
    }

    /// When [`Self::pulse`] has something to do next.
    pub fn next_pulse(&self) -> Option<Time> {
        self.calls.next_pulse()
    }

    /// A STUN datagram came up.
    pub(crate) fn stun(
        &mut self,
        clock: Clock,
        port: PortId,
        source: Endpoint,
        bytes: &[u8],
        commands: &mut Vec<Command>,
    ) {
        let Some(key) = self.calls.at_port(port) else {
            return;
        };
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let legs = call.legs.iter_mut();
        let mut found = legs.filter_map(|leg| {
            let candidates = leg.candidates_at(port);
            let ice = leg.ice.as_deref_mut()?;
            Some((ice.agent.addressee(&candidates, source, bytes)?, ice))
        });
        let Some((candidate, ice)) = found.next() else {
            return;
        };
        let random = self.random.source();
        let (agent, out) = (&mut ice.agent, &mut ice.out);
        agent.receive(clock.now, candidate, source, bytes, random, out);
        self.heed_agents(clock, key, commands);
    }

    /// Does what agents of a call want done.
    pub(crate) fn heed_agents(&mut self, clock: Clock, key: CallKey, commands: &mut Vec<Command>) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let mut news = Vec::new();
        for ice in call
            .legs
            .iter_mut()
            .filter_map(|leg| leg.ice.as_deref_mut())
        {
            for event in &ice.out.events {
                if let Event::Connected { list } = event
                    && let Some(since) = ice.since.remove(list)
                {
                    self.totals.ice.took.add(clock.now.since(since));
                }
            }
            news.append(&mut ice.out.events);
        }
        if !news.is_empty() {
            let handshakes = &mut self.handshakes;
            refresh(call, clock.now, &self.settings, commands, handshakes);
        }
        send(call, commands);
        for event in news {
            match event {
                Event::Connected { .. } => self.totals.ice.connected += 1,
                Event::Failed { .. } => self.totals.ice.failed += 1,
                Event::Lost { .. } => self.totals.ice.lost += 1,
                Event::RoleSwitched(_) => self.totals.ice.conflicts += 1,
                Event::Selected { .. } | Event::Admitted { .. } => {}
            }
            tell(call, event);
        }
        self.calls.schedule_pulse(key);
    }
}

/// Sends what agents want sent.
fn send(call: &mut Call, commands: &mut Vec<Command>) {
    for leg in &mut call.legs {
        let Some(ice) = leg.ice.as_deref_mut() else {
            continue;
        };
        for transmit in std::mem::take(&mut ice.out.transmits) {
            if let Some(port) = leg.port_of(transmit.local) {
                let (to, bytes) = (transmit.to, transmit.bytes);
                commands.push(Command::Send { port, to, bytes });
            }
        }
    }
}

fn tell(call: &Call, event: Event) {
    let id = &call.id;
    match event {
        Event::Selected { pair, .. } if pair.standing == Standing::Nominated => {
            debug!(call_id = %id, remote = %pair.remote, "ICE pair nominated");
        }
        Event::Selected { .. } | Event::Admitted { .. } => {}
        Event::Connected { .. } => info!(call_id = %id, "ICE connected"),
        Event::Lost { .. } => warn!(call_id = %id, "ICE pair lost, nothing is sent"),
        Event::Failed { .. } => warn!(call_id = %id, "ICE failed, no pair works"),
        Event::RoleSwitched(role) => debug!(call_id = %id, ?role, "ICE role conflict resolved"),
    }
}
