use super::*;

/// A connection that has already carried so many bytes each way.
fn after(bytes: u32, window: u32) -> Credit {
    let count = Wrapping(bytes);
    Credit {
        received: count,
        forwarded: count,
        announced: count,
        sent: count,
        peer_forwarded: count,
        ..Credit::new(window)
    }
}

const STARTS: [u32; 6] = [0, 1, 1 << 31, u32::MAX - 7, u32::MAX - 1, u32::MAX];

#[test]
fn what_may_be_sent_is_the_buffer_less_what_is_under_way() {
    // buffer, sent, of it taken → may be sent
    let table = [
        (0, 0, 0, 0),
        (10, 0, 0, 10),
        (10, 10, 0, 0),
        (10, 10, 4, 4),
        (10, 10, 10, 10),
        (u32::MAX, 0, 0, u32::MAX),
        (u32::MAX, 10, 0, u32::MAX - 10),
    ];
    for start in STARTS {
        for (buffer, sent, taken, expected) in table {
            let mut credit = after(start, 64);
            credit.update(buffer, start);
            credit.send(sent);
            credit.update(buffer, start.wrapping_add(taken));
            assert_eq!(credit.sendable(), expected, "{start} {buffer} {sent} {taken}");
        }
    }
}

#[test]
fn a_shrunken_buffer_gives_no_credit_until_what_is_under_way_fits() {
    let mut credit = after(u32::MAX, 64);
    credit.update(100, u32::MAX);
    credit.send(100);
    credit.update(50, 39); // took 40 of 100: 60 under way
    assert_eq!(credit.sendable(), 0);
    credit.update(50, 59);
    assert_eq!(credit.sendable(), 10);
}

/// Every claim about every small state: credit never exceeds the truth, and never goes back.
#[test]
fn no_claim_gives_more_credit_than_the_buffer() {
    const SPAN: u32 = 12;
    for start in STARTS {
        for sent in 0..=SPAN {
            for taken in 0..=sent {
                for claim in (0..=SPAN * 2).map(|claim| start.wrapping_add(claim).wrapping_sub(SPAN / 2)) {
                    let mut credit = after(start, 64);
                    credit.update(SPAN, start);
                    credit.send(sent);
                    credit.update(SPAN, start.wrapping_add(taken));
                    let before = credit.sendable();
                    credit.update(SPAN, claim);
                    let claimed = claim.wrapping_sub(start);
                    let expected = if (taken..=sent).contains(&claimed) { SPAN - (sent - claimed) } else { before };
                    assert_eq!(credit.sendable(), expected, "{start} {sent} {taken} {claim}");
                }
            }
        }
    }
}

/// All ways of receiving and forwarding up to a depth, against plain numbers without a wrap.
#[test]
fn the_guest_may_send_just_what_the_window_holds() {
    fn walk(credit: &Credit, window: u64, received: u64, forwarded: u64, depth: u32) {
        assert_eq!(u64::from(credit.held()), received - forwarded);
        if depth == 0 {
            return;
        }
        for count in 0..=4u32 {
            let mut next = credit.clone();
            let fits = received + u64::from(count) - forwarded <= window;
            assert_eq!(next.receive(count), fits);
            if fits {
                walk(&next, window, received + u64::from(count), forwarded, depth - 1);
            } else {
                assert_eq!(next.held(), credit.held(), "what is refused isn't counted");
            }
        }
        for count in 0..=credit.held().min(4) {
            let mut next = credit.clone();
            let _ = next.forward(count);
            walk(&next, window, received, forwarded + u64::from(count), depth - 1);
        }
    }
    for start in STARTS {
        for window in [1, 4, 7] {
            walk(&after(start, window), u64::from(window), 0, 0, 5);
        }
    }
}

#[test]
fn the_guest_is_told_at_half_a_window_and_by_every_packet() {
    for start in STARTS {
        let mut credit = after(start, 64);
        assert!(credit.receive(64));
        assert!(!credit.forward(31));
        assert!(credit.forward(1));
        assert_eq!(credit.announce(), (64, start.wrapping_add(32)));
        assert!(!credit.forward(31), "told of the first half");
        assert_eq!(credit.announce(), (64, start.wrapping_add(63)));
        assert!(!credit.forward(1));
        assert!(!credit.receive(65));
        assert!(credit.receive(64));
    }
}

#[test]
fn a_window_is_at_least_a_page_whatever_is_open() {
    let held: u64 = (0..1024).map(|open| u64::from(window(open))).sum();
    assert_eq!(held, 46 << 20);
}
