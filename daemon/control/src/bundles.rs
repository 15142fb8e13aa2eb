//! What becomes of header extensions between two legs (RFC 8285): a MID is one leg's name for a section,
//! under one leg's id.

use patchcord_media::bundle::{Edit, EditId};

use crate::call::{Bundled, Leg, Section};

/// What becomes of RTP of section `index` of `from` on its way to `to`, if anything.
pub(crate) fn edit(from: &Leg, index: usize, to: &Leg) -> Option<Edit> {
    let (near, far) = (from.sections.get(index)?, to.sections.get(index)?);
    let said = near.bundled.as_deref()?;
    let mut edit = Edit::default();
    if let Some(told) = far.bundled.as_deref() {
        edit.part = part(to, index);
        let (theirs, ours) = (named(from, near, said), named(to, far, told));
        let is_same = theirs.is_some() && theirs == ours && near.mid == far.mid;
        if !is_same {
            // What is put in takes the place of what has its id.
            edit.name = ours.zip(far.mid.clone());
            let stale = theirs.filter(|id| ours != Some(*id));
            edit.cut.extend(stale);
        }
    }
    let put = edit.name.as_ref().map(|(id, _)| *id);
    let masked = said.masked.iter().map(|masked| masked.id);
    edit.cut.extend(masked.filter(|id| put != Some(*id)));
    (edit != Edit::default()).then_some(edit)
}

/// Gives an edit a place among others.
pub(crate) fn place(edit: Edit, edits: &mut Vec<Edit>) -> Option<EditId> {
    let known = edits.iter().position(|known| *known == edit);
    let at = known.unwrap_or_else(|| {
        edits.push(edit);
        edits.len() - 1
    });
    EditId::new(at)
}

/// The id of the MID in packets from or to a section that is bundled, be it alone: who has agreed on a MID in a
/// bundle may go by nothing else (Chromium does not look at payload types then).
fn named(leg: &Leg, section: &Section, bundled: &Bundled) -> Option<u8> {
    let transport = &section.local.as_ref()?.now;
    let is_bundled = bundled.group.is_some() || leg.sharing(transport).len() > 1;
    bundled.mid.filter(|_| is_bundled)
}

/// Which part of its port a section is, if there are several.
fn part(leg: &Leg, index: usize) -> Option<u8> {
    let sharing = leg.sharing(&leg.sections[index].local.as_ref()?.now);
    let at = sharing.iter().position(|known| *known == index);
    u8::try_from(at.filter(|_| sharing.len() > 1)?).ok()
}
