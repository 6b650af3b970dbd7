use std::io::{Read as _, Write as _};

use vmm_control::Bucket;

use super::guest::Guest;
use super::rig::{MAC, OPTIONS, Rig, frame, framed, metric};
use super::*;

const LONGEST: usize = 1500 + OVERHEAD;

#[test]
fn frames_go_out_however_they_are_cut() {
    let check = |length: usize, cuts: &[u32]| {
        let mut rig = Rig::passt(OPTIONS);
        let head = rig.prepare(&frame(length), cuts);
        rig.transmit();
        assert_eq!(rig.transmitted(), Some((head.into(), 0)), "{length} {cuts:?}");
        assert_eq!(rig.peer_gets(), frame(length), "{length} {cuts:?}");
        assert_eq!((metric(&rig, "sent_frames"), metric(&rig, "sent_bytes")), (1, length as u64));
    };
    check(ETHERNET, &[]);
    check(60, &[]);
    check(60, &[12]);
    check(60, &[26]);
    check(1514, &[5, 3, 4, 9, 5, 100]);
    check(LONGEST, &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn a_frame_that_must_not_go_out_is_counted_and_stops_nothing() {
    let check = |bad: &[u8], reason: &str| {
        let mut rig = Rig::passt(OPTIONS);
        let heads = [rig.prepare(bad, &[]), rig.prepare(&frame(60), &[12])];
        rig.transmit();
        for head in heads {
            assert_eq!(rig.transmitted(), Some((head.into(), 0)), "{reason}");
        }
        assert_eq!(rig.peer_gets(), frame(60), "{reason}");
        assert_eq!((metric(&rig, reason), metric(&rig, "sent_frames")), (1, 1), "{reason}");
    };
    check(&[], "dropped_short_frames");
    check(&frame(ETHERNET - 1), "dropped_short_frames");
    check(&frame(LONGEST + 1), "dropped_long_frames");
    check(&frame(70_000), "dropped_long_frames");
    for byte in 0..6 {
        let mut spoofed = frame(60);
        spoofed[6 + byte] ^= 0x10;
        check(&spoofed, "dropped_spoofed_frames");
    }
}

#[test]
fn a_chain_without_a_header_is_a_short_frame() {
    for buffers in [&[(0x8000, 11)][..], &[(0x8000, 1)], &[(0x8000, 12)], &[(0x8000, 5), (0x9000, 20)]] {
        let mut rig = Rig::passt(OPTIONS);
        rig.bench.drivers[TRANSMIT].chain(rig.bench.ram.memory(), buffers, &[]);
        rig.transmit();
        assert_eq!(metric(&rig, "dropped_short_frames"), 1, "{buffers:?}");
        assert!(rig.transmitted().is_some());
    }
}

/// Buffers of such lengths are offered and a frame comes in: how much of which is used, in order.
fn check_incoming(merge: bool, offered: &[u32], length: usize, expected: &[u32], dropped: Option<&str>) {
    let mut rig = Rig::passt(OPTIONS);
    rig.bench.features &= if merge { u64::MAX } else { !(1 << VIRTIO_NET_F_MRG_RXBUF) };
    let addresses: Vec<u64> = (0..).map(|number| 0x20_0000 + number * 0x2_0000).take(offered.len()).collect();
    // Each in two buffers, so that a header may be cut.
    let heads: Vec<u16> = addresses
        .iter()
        .zip(offered)
        .map(|(&address, &length)| rig.offer(&[(address, 7), (address + 7, length - 7)]))
        .collect();
    rig.receive();
    rig.peer_sends(&frame(length));
    rig.settle();

    let case = format!("{length} in {offered:?}, merge {merge}");
    let mut bytes = Vec::new();
    for ((&head, &address), &expected) in heads.iter().zip(&addresses).zip(expected) {
        assert_eq!(rig.received(), Some((head.into(), expected)), "{case}");
        bytes.extend(rig.memory(address, expected as usize));
    }
    assert_eq!(rig.received(), None, "{case}");
    if !expected.is_empty() {
        let mut header = [0; HEADER];
        header[10] = u8::try_from(expected.len()).expect("few");
        assert_eq!(bytes, [&header, &frame(length)[..]].concat(), "{case}");
        assert_eq!(metric(&rig, "received_bytes"), length as u64);
    }
    if let Some(dropped) = dropped {
        assert_eq!(metric(&rig, dropped), 1, "{case}");
        // The buffer is still good for a frame that fits.
        rig.peer_sends(&frame(20));
        rig.settle();
        assert_eq!(rig.received(), Some((heads[0].into(), 32)), "{case}");
    }
}

#[test]
fn frames_come_in_as_buffers_allow() {
    check_incoming(true, &[2048], 60, &[72], None);
    check_incoming(true, &[2048, 2048], LONGEST, &[1530], None);
    check_incoming(true, &[512, 512, 512, 512], 1500, &[512, 512, 488], None);
    check_incoming(true, &[512, 512], 1012, &[512, 512], None);
    check_incoming(true, &[12, 12, 12], 14, &[12, 12, 2], None);
    check_incoming(false, &[2048], 60, &[72], None);
    check_incoming(false, &[72, 72], 60, &[72], None);
    check_incoming(true, &[2048], ETHERNET - 1, &[], Some("dropped_short_frames"));
    check_incoming(true, &[2048], 0, &[], Some("dropped_short_frames"));
    check_incoming(true, &[2048], LONGEST + 1, &[], Some("dropped_long_frames"));
    check_incoming(true, &[2048], MAX_FRAME, &[], Some("dropped_long_frames"));
    check_incoming(false, &[71, 2048], 60, &[], Some("dropped_no_buffer_frames"));
    // Not dropped: it waits for more buffers.
    check_incoming(true, &[512, 512], 1013, &[], None);
}

#[test]
fn a_frame_waits_for_buffers_and_the_host_for_the_guest() {
    let mut rig = Rig::passt(OPTIONS);
    rig.peer_sends(&frame(1000));
    rig.settle();
    assert_eq!(rig.received(), None);
    rig.offer(&[(0x20_0000, 512)]);
    rig.receive();
    rig.settle();
    assert_eq!(rig.received(), None, "half of it is no frame");
    rig.offer(&[(0x30_0000, 512)]);
    rig.receive();
    rig.settle();
    assert_eq!([rig.received(), rig.received()].map(|used| used.map(|used| used.1)), [Some(512), Some(500)]);

    // The peer can't send for ever to a guest that takes nothing.
    rig.peer.set_nonblocking(true).expect("a socket");
    let mut sent = 0;
    while let Ok(count) = rig.peer.write(&framed(&frame(1000))) {
        sent += count;
        rig.settle();
        assert!(sent < 16 << 20, "memory of the host isn't bounded");
    }
}

#[test]
fn a_queue_that_is_too_small_as_a_whole_loses_the_frame_only() {
    let mut rig = Rig::passt(OPTIONS);
    for number in 0..16 {
        rig.offer(&[(0x20_0000 + number * 64, 64)]);
    }
    rig.receive();
    rig.peer_sends(&frame(1500));
    rig.peer_sends(&frame(40));
    rig.settle();
    assert_eq!(rig.received().map(|used| used.1), Some(52));
    assert_eq!(metric(&rig, "dropped_no_buffer_frames"), 1);
}

#[test]
fn bytes_of_a_frame_may_come_one_by_one() {
    let mut rig = Rig::passt(OPTIONS);
    let frames = [frame(40), frame(14)];
    for number in 0..2 {
        rig.offer(&[(0x20_0000 + 0x1000 * number, 2048)]);
    }
    rig.receive();
    for byte in frames.iter().flat_map(|frame| framed(frame)) {
        rig.peer.write_all(&[byte]).expect("the device is there");
        rig.turn();
    }
    for (number, frame) in (0..).zip(&frames) {
        assert_eq!(rig.received().map(|used| used.1), Some(12 + u32::try_from(frame.len()).expect("short")));
        assert_eq!(rig.memory(0x20_0000 + 0x1000 * number + 12, frame.len()), *frame);
    }
}

#[test]
fn a_receive_buffer_without_room_for_a_header_is_a_fault() {
    for merge in [true, false] {
        let mut rig = Rig::passt(OPTIONS);
        rig.bench.features &= if merge { u64::MAX } else { !(1 << VIRTIO_NET_F_MRG_RXBUF) };
        rig.offer(&[(0x20_0000, 11)]);
        let fault = rig.bench.kick(RECEIVE).expect_err("11 bytes");
        assert_eq!(fault.to_string(), "a receive buffer has no room for a header");
    }
}

#[test]
fn a_peer_that_goes_takes_nothing_along() {
    let mut rig = Rig::passt(OPTIONS);
    rig.offer(&[(0x20_0000, 2048)]);
    rig.receive();
    rig.peer_sends(&frame(60));
    rig.lose_peer();
    assert_eq!(rig.received().map(|used| used.1), Some(72), "what was sent before arrives");
    assert!(!rig.bench.device.is_link_up());
    assert_eq!((rig.bench.interrupt.generation(), metric(&rig, "link_losses_count")), (1, 1));
    let mut status = [0xFF; 2];
    rig.bench.device.read_config(6, &mut status);
    assert_eq!(status, [0, 0]);

    let head = rig.prepare(&frame(60), &[]);
    rig.transmit();
    assert_eq!(rig.transmitted(), Some((head.into(), 0)), "the guest's queue goes on");
    assert_eq!((metric(&rig, "dropped_link_frames"), metric(&rig, "sent_frames")), (1, 0));
    rig.settle();

    // Another one takes its place.
    let (ours, peer) = UnixStream::pair().expect("a socket pair");
    rig.peer = peer;
    rig.bench.with(|net, io| Ok(net.reconnect(io, ours))).expect("no fault").expect("a free descriptor");
    assert_eq!((rig.bench.interrupt.generation(), rig.bench.device.is_link_up()), (2, true));
    rig.settle();
    rig.prepare(&frame(61), &[]);
    rig.transmit();
    assert_eq!(rig.peer_gets(), frame(61));
    rig.offer(&[(0x20_0000, 2048)]);
    rig.receive();
    rig.peer_sends(&frame(62));
    rig.settle();
    assert_eq!(rig.received().map(|used| used.1), Some(74));
}

#[test]
fn a_peer_that_goes_while_nobody_listens_is_noticed() {
    // No buffer is offered: the card doesn't read.
    let mut rig = Rig::passt(OPTIONS);
    rig.peer_sends(&frame(60));
    rig.lose_peer();
    assert_eq!((rig.bench.device.is_link_up(), metric(&rig, "link_losses_count")), (false, 1));
}

#[test]
fn a_peer_out_of_step_is_cut_off() {
    for length in [MAX_FRAME + 1, 1 << 31] {
        let mut rig = Rig::passt(OPTIONS);
        rig.offer(&[(0x20_0000, 2048)]);
        rig.receive();
        rig.peer.write_all(&u32::try_from(length).expect("32 bits").to_be_bytes()).expect("the device is there");
        rig.settle();
        assert_eq!((rig.bench.device.is_link_up(), rig.received()), (false, None));
    }
}

#[test]
fn a_slow_peer_loses_no_frame_and_costs_no_time() {
    const COUNT: usize = 1000;
    let mut rig = Rig::passt(OPTIONS);
    let length = |number: usize| 1000 + number % 500;
    let (mut sent, mut returned, mut got) = (0, 0, 0);
    let mut full = false;
    while got < COUNT {
        while sent < COUNT && sent - returned < 16 {
            rig.prepare(&frame(length(sent)), &[]);
            sent += 1;
        }
        rig.transmit();
        // A device that waits by asking again and again doesn't settle.
        rig.settle();
        let before = returned;
        while rig.transmitted().is_some() {
            returned += 1;
        }
        if returned == before || returned == COUNT {
            full |= returned < COUNT;
            // It stands: the peer takes some, down to the middle of a frame.
            assert_eq!(rig.peer_gets(), frame(length(got)));
            got += 1;
        }
    }
    assert!(full, "the socket never was full");
    assert_eq!(metric(&rig, "sent_frames"), COUNT as u64);
    assert!(rig.peer_is_idle());
}

#[test]
fn the_tail_of_a_frame_survives_a_reset_of_the_driver() {
    let mut rig = Rig::passt(NetOptions { mtu: 65_000, ..OPTIONS });
    // So many that the last one is sent in part.
    let mut whole = 0;
    while rig.bench.device.send_wait != Wait::Link {
        rig.prepare(&frame(60_000), &[]);
        rig.transmit();
        if rig.transmitted().is_some() {
            whole += 1;
        }
        assert!(whole < 100, "the socket never was full");
    }
    rig.bench.device.reset();
    rig.start();
    let mut bytes = vec![0; 64 << 10];
    let mut total = 0;
    rig.peer.set_nonblocking(true).expect("a socket");
    loop {
        match rig.peer.read(&mut bytes) {
            Ok(count) => total += count,
            Err(_) if total >= whole * 60_004 && total % 60_004 == 0 => break,
            Err(_) => rig.turn(),
        }
    }
}

fn once(bytes: Option<u64>, operations: Option<u64>) -> RateLimit {
    let bucket = |count: Option<u64>| count.map(|burst| Bucket { per_second: 0, burst });
    RateLimit { bytes: bucket(bytes), operations: bucket(operations) }
}

#[test]
fn what_may_be_sent_is_limited() {
    for (rate, expected) in [(once(Some(100), None), 2), (once(None, Some(3)), 3), (once(Some(61), Some(9)), 2)] {
        let mut rig = Rig::passt(NetOptions { send_rate: rate, ..OPTIONS });
        for _ in 0..5 {
            rig.prepare(&frame(60), &[]);
        }
        rig.transmit();
        rig.settle();
        assert_eq!(metric(&rig, "sent_frames"), expected, "{rate:?}");
        assert_eq!(metric(&rig, "send_throttled_count"), 1, "{rate:?}");
        // What is left goes when it may.
        rig.bench.device.set_rates(RateLimit::default(), RateLimit::default());
        rig.turn();
        assert_eq!((0..5).map(|_| rig.peer_gets()).collect::<Vec<_>>(), vec![frame(60); 5]);
    }
}

#[test]
fn dropped_frames_count_against_the_limit() {
    let mut rig = Rig::passt(NetOptions { send_rate: once(None, Some(2)), ..OPTIONS });
    let mut spoofed = frame(60);
    spoofed[6..12].copy_from_slice(&[2; 6]);
    for _ in 0..5 {
        rig.prepare(&spoofed, &[]);
    }
    rig.transmit();
    assert_eq!(metric(&rig, "dropped_spoofed_frames"), 2);
}

#[test]
fn what_may_be_received_is_limited() {
    for (rate, expected) in [(once(Some(100), None), 2), (once(None, Some(3)), 3)] {
        let mut rig = Rig::passt(NetOptions { receive_rate: rate, ..OPTIONS });
        for number in 0..5 {
            rig.offer(&[(0x20_0000 + number * 2048, 2048)]);
            rig.peer_sends(&frame(60));
        }
        rig.receive();
        rig.settle();
        assert_eq!(metric(&rig, "received_frames"), expected, "{rate:?}");
        rig.bench.device.set_rates(RateLimit::default(), RateLimit::default());
        rig.turn();
        rig.settle();
        assert_eq!(metric(&rig, "received_frames"), 5);
    }
}

#[test]
fn many_frames_in_one_read_are_all_delivered() {
    // Fewer bytes than one read takes: most wait in the card's memory, where no event tells of them.
    let count = FRAMES_A_TURN + 44;
    let mut rig = Rig::passt(OPTIONS);
    let burst: Vec<u8> = (0..count).flat_map(|_| framed(&frame(20))).collect();
    rig.peer.write_all(&burst).expect("the device is there");
    let mut delivered = 0;
    while delivered < count {
        while rig.offered < 16 {
            rig.offer(&[(0x20_0000, 64)]);
        }
        rig.receive();
        let mut some = false;
        while let Some((_, length)) = rig.received() {
            assert_eq!(length, 32);
            (delivered, some) = (delivered + 1, true);
        }
        if !some {
            rig.turn();
        }
    }
    assert_eq!(rig.memory(0x20_0000 + 12, 20), frame(20));
    assert_eq!(&frame(20)[6..12], &MAC);
}

#[test]
fn a_driver_that_calls_by_index_is_asked_for_the_buffer_after_those_that_are_not_enough() {
    let mut rig = Rig::passt(OPTIONS);
    rig.peer_sends(&frame(1000));
    let asked = |rig: &mut Rig| {
        let device = rig.bench.with(|_, io| {
            io.queues[RECEIVE].state_mut().event_index = true;
            Ok(io.queues[RECEIVE].state().device)
        });
        // The field after the used ring's 16 elements (2.7.8).
        rig.memory(device.expect("no error") + 4 + 8 * 16, 2)
    };
    assert_eq!(asked(&mut rig), [0, 0]);
    for buffers in 1..=3 {
        rig.offer(&[(0x20_0000 + 0x1000 * buffers, 300)]);
        rig.receive();
        rig.settle();
        assert_eq!((asked(&mut rig), rig.received()), (vec![u8::try_from(buffers).expect("few"), 0], None));
    }
    rig.offer(&[(0x20_0000, 300)]);
    rig.receive();
    assert_eq!(rig.received().map(|used| used.1), Some(300));
}

#[test]
fn frames_of_all_sizes_arrive_whole_and_in_order() {
    const MTU: u16 = 65_000;
    let lengths: Vec<usize> = (0..300).map(|number| ETHERNET + number * 7919 % usize::from(MTU)).collect();
    let rig = Rig::passt(NetOptions { mtu: MTU, ..OPTIONS });
    let mut peer = rig.peer.try_clone().expect("a descriptor");
    let sent = lengths.clone();
    let writer = std::thread::spawn(move || {
        for length in sent {
            peer.write_all(&framed(&frame(length))).expect("the device is there");
        }
    });
    let mut guest = Guest::new(rig, 8192, [0; 4], [0; 4]);
    for length in lengths {
        let got = loop {
            match guest.next() {
                Some((_, frame)) => break frame,
                None => guest.rig.turn(),
            }
        };
        assert!(got == frame(length), "a frame of {length} bytes");
    }
    writer.join().expect("all is written");
}
