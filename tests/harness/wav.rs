//! Reading and writing WAV files of 16 bit mono, as the phones record and play them.

/// Sample rate and samples of the file in `bytes`; `None` if it is not 16 bit PCM in one channel.
///
/// A file still being written declares no length: what is there is taken.
pub fn parse(bytes: &[u8]) -> Option<(u32, Vec<i16>)> {
    let body = bytes
        .strip_prefix(b"RIFF")?
        .get(4..)?
        .strip_prefix(b"WAVE")?;
    let mut rest = body;
    let mut rate = None;
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let declared = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let size = if declared == 0 {
            tail.len()
        } else {
            declared.min(tail.len())
        };
        let chunk = &tail[..size];
        match &head[..4] {
            b"fmt " => {
                let field =
                    |at: usize| Some(u16::from_le_bytes([*chunk.get(at)?, *chunk.get(at + 1)?]));
                if (field(2)?, field(14)?) != (1, 16) {
                    return None;
                }
                rate = Some(u32::from(field(4)?) | u32::from(field(6)?) << 16);
            }
            b"data" => {
                let samples = chunk.as_chunks::<2>().0;
                return Some((
                    rate?,
                    samples.iter().map(|&s| i16::from_le_bytes(s)).collect(),
                ));
            }
            _ => {}
        }
        rest = &tail[size..];
    }
    None
}

/// A file with `samples`.
pub fn write(rate: u32, samples: &[i16]) -> Vec<u8> {
    let data = samples.len() as u32 * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend((rate * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(data.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_reads_back() {
        assert_eq!(
            parse(&write(8000, &[1, -2, 300])),
            Some((8000, vec![1, -2, 300]))
        );
    }

    #[test]
    fn a_file_still_being_written_gives_what_is_there() {
        let mut file = write(8000, &[5, 6]);
        file[40..44].fill(0);
        assert_eq!(parse(&file), Some((8000, vec![5, 6])));
    }
}
