//! Texts: which sequences are UTF-8, and that one that is not ends the session at its first byte.

use super::cases::{Case, End};
use super::wire::{CONTINUATION, LAST, TEXT, frame, text};

const INVALID: End = End::Closed(Some(1007));
/// A word with characters of two and of three bytes.
const WORD: &str = "κ\u{1f79}σμε";
/// The first byte of a sequence of two, three, four, and of five and six that there no longer are.
const STARTS: [(u8, u8); 5] =
    [(0xc0, 0xdf), (0xe0, 0xef), (0xf0, 0xf7), (0xf8, 0xfb), (0xfc, 0xfd)];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = pieces();
    cases.extend(invalid_pieces());
    cases.extend(at_once());
    cases.extend(table().into_iter().enumerate().map(|(n, (bytes, is_text))| {
        let name = format!("sequence {n}: {bytes:02x?}");
        if is_text {
            Case::new(name, vec![text(&bytes)], End::Goodbye).echoes(TEXT, bytes)
        } else {
            Case::new(name, vec![text(&bytes)], INVALID)
        }
    }));
    cases
}

/// A text in frames of so many bytes.
fn in_frames(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = bytes.chunks(size).count();
    let frames = bytes.chunks(size).enumerate().map(|(n, piece)| {
        let op = if n == 0 { TEXT } else { CONTINUATION };
        frame(if n + 1 == count { LAST | op } else { op }, piece)
    });
    frames.collect()
}

fn pieces() -> Vec<Case> {
    let long = "Hello-µ@ßöäüàá-UTF-8!!".repeat(3);
    let good = |name: &str, writes, echoed: &str| {
        Case::new(name, writes, End::Goodbye).echoes(TEXT, echoed)
    };
    let empty = |op, payload: &[u8]| frame(op, payload);
    let three = |payload: &[u8]| {
        vec![empty(TEXT, b""), frame(CONTINUATION, payload), empty(LAST | CONTINUATION, b"")]
    };
    vec![
        good("nothing", vec![text("")], ""),
        good("nothing, three times", three(b""), ""),
        good("something between nothings", three(WORD.as_bytes()), WORD),
        good("a text", vec![text(&long)], &long),
        good("a text in two frames", in_frames(long.as_bytes(), 40), &long),
        good("a text in frames of one byte", in_frames(long.as_bytes(), 1), &long),
        good("a word in frames of one byte", in_frames(WORD.as_bytes(), 1), WORD),
    ]
}

fn broken_word() -> Vec<u8> {
    [WORD.as_bytes(), &[0xed, 0xa0, 0x80], b"edited"].concat()
}

fn invalid_pieces() -> Vec<Case> {
    let broken = broken_word();
    vec![
        Case::new("a surrogate in a text", vec![text(&broken)], INVALID),
        Case::new("the same in frames of one byte", in_frames(&broken, 1), INVALID),
    ]
}

/// Nothing of these is whole: what ends them is the byte that cannot be right.
fn at_once() -> Vec<Case> {
    let beyond = [WORD.as_bytes(), &[0xf4, 0x90], &[0x80, 0x80], b"edited"].concat();
    let at = WORD.len();
    let open = frame(TEXT, &beyond);
    let cut = |bytes: &[u8], left: usize| bytes[..bytes.len() - left].to_vec();
    let frames =
        |upto: usize| vec![frame(TEXT, &beyond[..at]), frame(CONTINUATION, &beyond[at..upto])];
    vec![
        Case::new("in a second frame", frames(at + 4), INVALID),
        Case::new("by half a sequence in a second frame", frames(at + 2), INVALID),
        Case::new("in a frame that is not whole", vec![cut(&open, 6)], INVALID),
        Case::new("by half a sequence, byte by byte", vec![cut(&open, 8)], INVALID).chopped(1),
    ]
}

/// Sequences, and whether they are UTF-8.
fn table() -> Vec<(Vec<u8>, bool)> {
    let mut table = Vec::new();
    let mut add = |is_text: bool, rows: Vec<Vec<u8>>| {
        table.extend(rows.into_iter().map(|bytes| (bytes, is_text)));
    };
    let of = |code: u32| char::from_u32(code).expect("a character").to_string().into_bytes();
    let upto = |count: usize| WORD.chars().take(count).collect::<String>().into_bytes();
    add(true, (1..=5).map(upto).collect());
    for end in 1..=WORD.len() {
        add(WORD.is_char_boundary(end), vec![WORD.as_bytes()[..end].to_vec()]);
    }
    // The first and the last of each length, around the surrogates, and beyond the end.
    add(true, [0, 0x80, 0x800, 0x1_0000].map(of).to_vec());
    add(false, vec![sequence(0xf8, 0x88, 5, 0x80), sequence(0xfc, 0x84, 6, 0x80)]);
    add(true, [0x7f, 0x7ff, 0xffff, 0x10_ffff].map(of).to_vec());
    add(false, (4..=6).map(|n| sequence(STARTS[n - 2].1, 0xbf, n, 0xbf)).collect());
    add(true, [0xd7ff, 0xe000, 0xfffd, 0x10_ffff].map(of).to_vec());
    add(false, vec![vec![0xf4, 0x90, 0x80, 0x80]]);
    // Continuations of nothing.
    add(false, vec![vec![0x80], vec![0xbf]]);
    add(false, (2..=6).map(|n| [0x80, 0xbf].repeat(3)[..n].to_vec()).collect());
    add(false, vec![(0x80..=0xbf).collect()]);
    // Starts without their continuations, and with one too few.
    add(false, STARTS.map(|(from, to)| (from..=to).flat_map(|b| [b, b' ']).collect()).to_vec());
    let short = |at: usize, start: u8, rest: u8| sequence(start, rest, at + 1, rest);
    let lacking = STARTS
        .iter()
        .enumerate()
        .flat_map(|(at, (from, to))| [short(at, *from, 0x80), short(at, *to, 0xbf)]);
    let lacking: Vec<Vec<u8>> = lacking.collect();
    add(false, lacking.clone());
    add(false, vec![lacking.concat()]);
    add(false, vec![vec![0xfe], vec![0xff], vec![0xfe, 0xfe, 0xff, 0xff]]);
    add(false, overlong());
    add(false, surrogates());
    // What no character has been given to is UTF-8 all the same.
    let planes = 0..=0x10_u32;
    add(true, planes.flat_map(|n| [n << 16 | 0xfffe, n << 16 | 0xffff]).map(of).collect());
    add(true, [0xfff9, 0xfffa, 0xfffb, 0xfffc, 0xfffd, 0xfeff, 0xfdd0].map(of).to_vec());
    table
}

/// A sequence of `length` bytes: its start, the next, and the rest.
fn sequence(start: u8, next: u8, length: usize, rest: u8) -> Vec<u8> {
    let mut bytes = vec![start, next];
    bytes.resize(length.max(2), rest);
    bytes.truncate(length);
    bytes
}

/// More bytes than needed: a slash, the highest of each length, and NUL.
fn overlong() -> Vec<Vec<u8>> {
    let with_last = |mut bytes: Vec<u8>, last: u8| {
        *bytes.last_mut().expect("bytes") = last;
        bytes
    };
    let zeros = |n: usize| sequence(STARTS[n - 2].0, 0x80, n, 0x80);
    let mut rows: Vec<_> = (2..=6).map(|n| with_last(zeros(n), 0xaf)).collect();
    let highest = [(0xc1, 0xbf), (0xe0, 0x9f), (0xf0, 0x8f), (0xf8, 0x87), (0xfc, 0x83)];
    rows.extend((2..=6).zip(highest).map(|(n, (start, next))| sequence(start, next, n, 0xbf)));
    rows.extend((2..=6).map(zeros));
    rows
}

/// Halves of UTF-16, alone and in pairs.
fn surrogates() -> Vec<Vec<u8>> {
    let of = |next: u8, last: u8| vec![0xed, next, last];
    let high = [(0xa0, 0x80), (0xad, 0xbf), (0xae, 0x80), (0xaf, 0xbf)];
    let low = [(0xb0, 0x80), (0xbe, 0x80), (0xbf, 0xbf)];
    let mut rows: Vec<_> = high.iter().chain(&low).map(|(next, last)| of(*next, *last)).collect();
    for (next, last) in high {
        for (then, end) in [low[0], low[2]] {
            rows.push([of(next, last), of(then, end)].concat());
        }
    }
    rows
}
