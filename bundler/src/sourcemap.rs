//! Reading the `mappings` of source maps (ECMA-426).

/// One segment of a generated line. Lines and columns from 0, columns in UTF-16 units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) column: u32,
    /// Line and column in the source.
    pub(crate) source: Option<(u32, u32)>,
}

/// Segments of each generated line. Stops at the first character that isn't one of a map.
pub(crate) fn decode(mappings: &str) -> Vec<Vec<Segment>> {
    let mut source_line = 0i64;
    let mut source_column = 0i64;
    mappings
        .split(';')
        .map(|line| {
            let mut column = 0i64;
            let mut segments = Vec::new();
            for text in line.split(',').filter(|text| !text.is_empty()) {
                let mut digits = text.bytes();
                let Some(step) = value(&mut digits) else { break };
                column += step;
                let source = value(&mut digits).and_then(|_file| {
                    source_line += value(&mut digits)?;
                    source_column += value(&mut digits)?;
                    Some((u32::try_from(source_line).ok()?, u32::try_from(source_column).ok()?))
                });
                let Ok(column) = u32::try_from(column) else { break };
                segments.push(Segment { column, source });
            }
            segments
        })
        .collect()
}

/// One base-64 VLQ number.
fn value(digits: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let mut shift = 0;
    let mut number = 0i64;
    loop {
        let digit = i64::from(match digits.next()? {
            c @ b'A'..=b'Z' => c - b'A',
            c @ b'a'..=b'z' => c - b'a' + 26,
            c @ b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        });
        number |= (digit & 31) << shift;
        if digit & 32 == 0 {
            return Some(if number & 1 == 1 { -(number >> 1) } else { number >> 1 });
        }
        shift += 5;
        if shift > 40 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Shown = (u32, Option<(u32, u32)>);

    #[test]
    fn segments() {
        let lines = decode("AAAA,IAAM;;AACA,gBAAgB");
        let shown: Vec<Vec<Shown>> =
            lines.iter().map(|line| line.iter().map(|s| (s.column, s.source)).collect()).collect();
        assert_eq!(
            shown,
            [vec![(0, Some((0, 0))), (4, Some((0, 6)))], vec![], vec![(0, Some((1, 6))), (16, Some((1, 22)))]]
        );
    }

    #[test]
    fn broken_maps_end_early() {
        for text in ["!", "A", "gggggggggggggggggg", ",,;;", "💥"] {
            decode(text);
        }
    }
}
