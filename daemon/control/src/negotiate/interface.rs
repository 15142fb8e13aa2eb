//! Which local address a leg gets: logical interface, family, and the row of the settings they name.

use patchcord_contract::Addr;
use patchcord_wire::ng::address::{Family, InterfaceChoice};

use crate::Settings;

/// What an interface choice comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// Nothing was chosen.
    Nothing,
    /// A logical interface, by its first row.
    Logical(u8),
    /// A name that no interface has.
    Unknown,
}

/// Finds the logical interface of a choice. `turn` counts calls, for groups and round robin.
pub(crate) fn choose(settings: &Settings, choice: &InterfaceChoice<'_>, turn: u64) -> Chosen {
    match choice {
        InterfaceChoice::Unset => Chosen::Nothing,
        InterfaceChoice::Named(name) => named(settings, name)
            .or_else(|| group_member(settings, name, turn))
            .or_else(|| {
                choice
                    .legacy_family()
                    .and_then(|family| of_family(settings, family))
            })
            .map_or(Chosen::Unknown, Chosen::Logical),
        InterfaceChoice::RoundRobin => {
            let logical: Vec<u8> = first_rows(settings).collect();
            Chosen::Logical(logical[turn as usize % logical.len()])
        }
        InterfaceChoice::Towards(ip) => {
            of_family(settings, Family::of(*ip)).map_or(Chosen::Unknown, Chosen::Logical)
        }
    }
}

/// Whether `choice` takes turns among interfaces of which `known` is one: it has been chosen then.
pub(crate) fn is_turn_of(settings: &Settings, choice: &InterfaceChoice<'_>, known: u8) -> bool {
    match choice {
        InterfaceChoice::RoundRobin => true,
        InterfaceChoice::Named(name) => {
            named(settings, name).is_none() && is_member(settings, name, known)
        }
        InterfaceChoice::Unset | InterfaceChoice::Towards(_) => false,
    }
}

/// The row that gives a leg of `family` its address: of its logical interface, else, if it never
/// chose one, of any; without any of that family, of its logical interface all the same.
pub(crate) fn row(settings: &Settings, logical: Option<u8>, family: Family) -> u8 {
    let first = logical.unwrap_or(0);
    let name = &settings.interfaces[usize::from(first)].name;
    let mut rows = settings.interfaces.iter().enumerate();
    let fits = |row: &crate::Interface| family_of(row.address) == family;
    rows.clone()
        .find(|(_, row)| row.name == *name && fits(row))
        .or_else(|| rows.find(|(_, row)| logical.is_none() && fits(row)))
        .map_or(first, |(index, _)| index as u8)
}

/// The family of an address.
pub(crate) const fn family_of(address: Addr) -> Family {
    if address.is_v4() {
        Family::V4
    } else {
        Family::V6
    }
}

fn named(settings: &Settings, name: &[u8]) -> Option<u8> {
    let is = |text: &String| text.as_bytes() == name;
    settings
        .interfaces
        .iter()
        .position(|row| is(&row.name) || row.aliases.iter().any(is))
        .map(|index| index as u8)
}

/// A member of the group `base`, whose members are named `base:suffix`.
fn group_member(settings: &Settings, base: &[u8], turn: u64) -> Option<u8> {
    let members: Vec<u8> = first_rows(settings)
        .filter(|row| is_member(settings, base, *row))
        .collect();
    members.get(turn as usize % members.len().max(1)).copied()
}

fn is_member(settings: &Settings, base: &[u8], row: u8) -> bool {
    let name = settings.interfaces[usize::from(row)].name.as_bytes();
    name.strip_prefix(base)
        .is_some_and(|rest| rest.first() == Some(&b':'))
}

fn of_family(settings: &Settings, family: Family) -> Option<u8> {
    let at = settings
        .interfaces
        .iter()
        .position(|row| family_of(row.address) == family)?;
    named(settings, settings.interfaces[at].name.as_bytes())
}

/// The first row of every logical interface.
fn first_rows(settings: &Settings) -> impl Iterator<Item = u8> {
    let rows = &settings.interfaces;
    let is_first = |at: &usize| rows[..*at].iter().all(|row| row.name != rows[*at].name);
    (0..rows.len()).filter(is_first).map(|index| index as u8)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::Interface;

    fn settings(rows: &[(&str, &str)]) -> Settings {
        let address = |text: &str| Addr::from(text.parse::<IpAddr>().expect("an address"));
        let mut settings = Settings::with_address(address("127.0.0.1"));
        settings.interfaces = rows
            .iter()
            .map(|(name, ip)| Interface {
                name: (*name).to_owned(),
                aliases: vec![format!("{name}-alias")],
                address: address(ip),
                advertised: address(ip),
            })
            .collect();
        settings
    }

    fn choice(name: &'static str) -> InterfaceChoice<'static> {
        InterfaceChoice::Named(name.as_bytes().into())
    }

    #[test]
    fn names_and_aliases_lead_to_the_first_row() {
        let settings = settings(&[
            ("pub", "192.0.2.1"),
            ("pub", "2001:db8::1"),
            ("priv", "10.0.0.1"),
        ]);
        assert_eq!(choose(&settings, &choice("pub"), 0), Chosen::Logical(0));
        assert_eq!(
            choose(&settings, &choice("priv-alias"), 0),
            Chosen::Logical(2)
        );
        assert_eq!(choose(&settings, &choice("nope"), 0), Chosen::Unknown);
        assert_eq!(
            choose(&settings, &InterfaceChoice::Unset, 0),
            Chosen::Nothing
        );
    }

    #[test]
    fn a_group_takes_turns_among_its_members() {
        let settings = settings(&[
            ("g:a", "192.0.2.1"),
            ("g:b", "192.0.2.2"),
            ("gx", "192.0.2.3"),
        ]);
        let turns: Vec<_> = (0..4)
            .map(|turn| choose(&settings, &choice("g"), turn))
            .collect();
        assert_eq!(turns, [0, 1, 0, 1].map(Chosen::Logical));
    }

    #[test]
    fn internal_and_external_mean_families_where_nothing_has_the_name() {
        let settings = settings(&[("four", "192.0.2.1"), ("six", "2001:db8::1")]);
        assert_eq!(
            choose(&settings, &choice("internal"), 0),
            Chosen::Logical(0)
        );
        assert_eq!(
            choose(&settings, &choice("external"), 0),
            Chosen::Logical(1)
        );
    }

    #[test]
    fn the_family_picks_the_row_of_the_interface() {
        let settings = settings(&[("a", "192.0.2.1"), ("a", "2001:db8::1"), ("b", "192.0.2.2")]);
        assert_eq!(row(&settings, Some(0), Family::V6), 1);
        assert_eq!(
            row(&settings, Some(2), Family::V6),
            2,
            "b has no IPv6 address"
        );
        assert_eq!(
            row(&settings, None, Family::V6),
            1,
            "by default any interface will do"
        );
    }
}
