//! The cases, group by group, as RFC 6455 has them and as public suites count them: 247.

use super::wire::{BINARY, CLOSE, CONTINUATION, LAST, PING, PONG, TEXT, close, frame, text};

/// One conversation: what is written, what must come back, and how it ends.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Each is one write.
    pub(crate) writes: Vec<Vec<u8>>,
    /// Opcode and payload of each frame that comes before the end.
    pub(crate) echoed: Vec<(u8, Vec<u8>)>,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// Nothing was wrong: the client says goodbye, and hears the same.
    Goodbye,
    /// The server closes, or answers a close that was written, with this code.
    Closed(Option<u16>),
}

const PROTOCOL: End = End::Closed(Some(1002));

impl Case {
    pub(crate) fn new(name: impl Into<String>, writes: Vec<Vec<u8>>, end: End) -> Self {
        Self { name: name.into(), writes, echoed: Vec::new(), end }
    }

    pub(crate) fn echoes(mut self, op: u8, payload: impl AsRef<[u8]>) -> Self {
        self.echoed.push((op, payload.as_ref().to_vec()));
        self
    }

    /// The same bytes in writes of so many.
    pub(crate) fn chopped(mut self, size: usize) -> Self {
        self.writes = self.writes.concat().chunks(size).map(<[u8]>::to_vec).collect();
        self.name = format!("{}, {size} at a time", self.name);
        self
    }
}

fn good(name: &str, writes: Vec<Vec<u8>>) -> Case {
    Case::new(name, writes, End::Goodbye)
}

fn bad(name: &str, writes: Vec<Vec<u8>>) -> Case {
    Case::new(name, writes, PROTOCOL)
}

/// Messages of each form of length.
pub(crate) fn framing() -> Vec<Case> {
    let mut cases = Vec::new();
    for op in [TEXT, BINARY] {
        let byte = if op == TEXT { b'*' } else { 0xfe };
        let case = |length: usize| {
            let payload = vec![byte; length];
            let name = format!("{length} bytes of opcode {op}");
            good(&name, vec![frame(LAST | op, &payload)]).echoes(op, payload)
        };
        cases.extend([0, 125, 126, 127, 128, 65_535, 65_536].map(case));
        cases.push(case(65_536).chopped(997));
    }
    cases
}

pub(crate) fn pings() -> Vec<Case> {
    let ping = |payload: &[u8]| frame(LAST | PING, payload);
    let answered =
        |name: &str, payload: &[u8]| good(name, vec![ping(payload)]).echoes(PONG, payload);
    let ten = || {
        let payloads: Vec<_> = (0..10).map(|n| format!("ping {n}")).collect();
        let writes = payloads.iter().map(|payload| ping(payload.as_bytes())).collect();
        payloads.iter().fold(good("ten pings", writes), |case, payload| case.echoes(PONG, payload))
    };
    let pong = |payload: &[u8]| frame(LAST | PONG, payload);
    vec![
        answered("an empty ping", b""),
        answered("a ping with text", b"Hello, world!"),
        answered("a ping with no text", &[0, 255, 254, 253, 252, 251, 0, 255]),
        answered("a ping of 125 bytes", &[0xfe; 125]),
        bad("a ping of 126 bytes", vec![ping(&[0xfe; 126])]),
        answered("a ping of 125 bytes", &[0xfe; 125]).chopped(1),
        good("an empty pong that nobody asked for", vec![pong(b"")]),
        good("a pong that nobody asked for", vec![pong(b"unasked")]),
        good("a pong, then a ping", vec![pong(b"unasked"), ping(b"asked")]).echoes(PONG, "asked"),
        ten(),
        ten().chopped(1),
    ]
}

/// Reserved bits mean nothing, for nothing was agreed on.
pub(crate) fn reserved_bits() -> Vec<Case> {
    let with = |bits: u8, op: u8, payload: &[u8]| frame(LAST | bits << 4 | op, payload);
    let ping = || frame(LAST | PING, b"");
    let after = |bits: u8| {
        let writes = vec![text("before"), with(bits, TEXT, b"reserved"), ping()];
        bad(&format!("bits {bits} after a message"), writes).echoes(TEXT, "before")
    };
    vec![
        bad("bits 1", vec![with(1, TEXT, b"reserved")]),
        after(2),
        after(3).chopped(13),
        after(4).chopped(1),
        bad("bits 5 of a binary message", vec![with(5, BINARY, &[0xff; 8])]),
        bad("bits 6 of a ping", vec![with(6, PING, b"reserved")]),
        bad("bits 7 of a close", vec![with(7, CLOSE, &1000_u16.to_be_bytes())]),
    ]
}

/// Opcodes that nobody has given a meaning.
pub(crate) fn opcodes() -> Vec<Case> {
    let mut cases = Vec::new();
    for first in [3, 11] {
        let unknown = |op: u8, payload: &[u8]| frame(LAST | op, payload);
        let after = |op: u8, payload: &[u8]| {
            let writes = vec![text("before"), unknown(op, payload), frame(LAST | PING, b"")];
            bad(&format!("opcode {op} after a message"), writes).echoes(TEXT, "before")
        };
        cases.push(bad(&format!("opcode {first}"), vec![unknown(first, b"")]));
        let next = first + 1;
        cases.push(bad(&format!("opcode {next}, a payload"), vec![unknown(next, b"reserved")]));
        cases.push(after(first + 2, b""));
        cases.push(after(first + 3, b"reserved").chopped(7));
        cases.push(after(first + 4, b"reserved").chopped(1));
    }
    cases
}

fn piece(payload: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, payload)
}

fn last(payload: &[u8]) -> Vec<u8> {
    frame(LAST | CONTINUATION, payload)
}

pub(crate) fn fragmentation() -> Vec<Case> {
    let first = |payload: &[u8]| frame(TEXT, payload);
    let ping = || frame(LAST | PING, b"between");
    let two = || good("two pieces", vec![first(b"one"), last(b"two")]).echoes(TEXT, "onetwo");
    let between = || {
        let writes = vec![first(b"one"), ping(), last(b"two")];
        good("a ping between", writes).echoes(PONG, "between").echoes(TEXT, "onetwo")
    };
    let last_of_none = || bad("the last of nothing", vec![last(b"lost"), text("after")]);
    let piece_of_none = || bad("a piece of nothing", vec![piece(b"lost"), text("after")]);
    let after_one = || {
        let writes = vec![first(b"one"), last(b"two"), piece(b"lost"), text("after")];
        bad("a piece after a message", writes).echoes(TEXT, "onetwo")
    };
    let twice = |first_of_none: &dyn Fn(&[u8]) -> Vec<u8>, name: &str| {
        let round = [first_of_none(b"lost"), first(b"one"), last(b"two")];
        bad(name, [round.clone(), round].concat())
    };
    let with_pings = || {
        let pings = [piece(b"2"), piece(b"3"), ping(), piece(b"4"), ping(), last(b"5")];
        let case = good("five pieces, pings between", [vec![first(b"1")], pings.to_vec()].concat());
        case.echoes(PONG, "between").echoes(PONG, "between").echoes(TEXT, "12345")
    };
    vec![
        bad("a ping in two pieces", vec![frame(PING, b"one"), last(b"two")]),
        bad("a pong in two pieces", vec![frame(PONG, b"one"), last(b"two")]),
        two(),
        two().chopped(5),
        two().chopped(1),
        between(),
        between().chopped(5),
        between().chopped(1),
        last_of_none(),
        last_of_none().chopped(5),
        last_of_none().chopped(1),
        piece_of_none(),
        piece_of_none().chopped(5),
        piece_of_none().chopped(1),
        after_one(),
        twice(&piece, "pieces of nothing, twice"),
        twice(&last, "last pieces of nothing, twice"),
        bad("a message within a message", vec![first(b"one"), text("two")]),
        with_pings(),
        with_pings().chopped(1),
    ]
}

/// Goodbyes, right and wrong.
pub(crate) fn closing() -> Vec<Case> {
    let plain = || close(1000, b"");
    let ends = |name: &str, writes: Vec<Vec<u8>>, code| Case::new(name, writes, End::Closed(code));
    let raw = |payload: &[u8]| frame(LAST | CLOSE, payload);
    let long = |bytes: usize| close(1000, &vec![b'*'; bytes]);
    let huge = "BAsd7&jh23".repeat(26_214);
    let normal = Some(1000);
    let mut cases = vec![
        ends("a message, then goodbye", vec![text("before"), plain()], normal)
            .echoes(TEXT, "before"),
        ends("goodbye twice", vec![plain(), plain()], normal),
        ends("a ping after goodbye", vec![plain(), frame(LAST | PING, b"")], normal),
        ends("a message after goodbye", vec![plain(), text("after")], normal),
        ends("goodbye within a message", vec![frame(TEXT, b"1"), plain(), last(b"2")], normal),
        ends("256 kB, goodbye, a ping", vec![text(&huge), plain(), frame(0x89, b"")], normal)
            .echoes(TEXT, &huge),
        ends("goodbye without a code", vec![raw(b"")], None),
        bad("goodbye with half a code", vec![raw(&[3])]),
        ends("goodbye with a code", vec![plain()], normal),
        ends("goodbye with a reason", vec![close(1000, "até já".as_bytes())], normal),
        ends("the longest reason", vec![long(123)], normal),
        bad("too long a reason", vec![long(124)]),
        ends(
            "a reason in no UTF-8",
            vec![close(1000, &[0xce, 0xba, 0xed, 0xa0, 0x80])],
            Some(1007),
        ),
    ];
    let valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999_u16];
    cases.extend(valid.map(|code| ends(&format!("{code}"), vec![close(code, b"")], Some(code))));
    // Never sent, never given out, and of no range.
    let invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535];
    cases.extend(invalid.map(|code| bad(&format!("{code}"), vec![close(code, b"")])));
    cases
}

/// A message that the client cuts into pieces by itself.
pub(crate) fn automatic_fragmentation() -> Vec<Case> {
    let payload = vec![b'*'; 65_536];
    let mut pieces: Vec<_> = payload.chunks(1300).map(piece).collect();
    let end = pieces.len() - 1;
    pieces[0][0] = TEXT;
    pieces[end][0] = LAST | CONTINUATION;
    vec![good("65,536 bytes in pieces of 1,300", pieces).echoes(TEXT, payload)]
}
