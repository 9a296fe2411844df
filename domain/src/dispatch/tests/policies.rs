//! What each policy does, by small cases.

use super::*;

const LATER: i64 = 10;

#[test]
fn nearest_serves_the_oldest_first_whatever_it_costs_the_others() {
    // The older ride takes the car beside the younger one.
    let waiting = [ride(1, 500, 0, 1), ride(2, 100, 5, 1)];
    let plan = decide(PolicyKind::Nearest, LATER, &waiting, &Street::free(&[90, 2000]));
    assert_eq!(asked(&plan), [(1, vec![1]), (2, vec![2])]);
    assert_eq!(plan.again, Again::After(Millis(1000)));
}

#[test]
fn batch_and_default_find_the_least_total() {
    let waiting = [ride(1, 500, 0, 1), ride(2, 100, 5, 1)];
    for kind in [PolicyKind::Batch, PolicyKind::Default] {
        let plan = decide(kind, LATER, &waiting, &Street::free(&[90, 2000]));
        assert_eq!(asked(&plan), [(1, vec![2]), (2, vec![1])], "{kind}");
    }
}

#[test]
fn a_free_car_takes_the_nearest_of_those_that_wait() {
    let waiting = [ride(1, 2500, 0, 1), ride(2, 100, 8, 1), ride(3, 1500, 9, 1)];
    let street = Street::free(&[0]);
    assert_eq!(asked(&decide(PolicyKind::Nearest, LATER, &waiting, &street)), [(1, vec![1])]);
    let plan = decide(PolicyKind::Default, LATER, &waiting, &street);
    assert_eq!(asked(&plan), [(2, vec![1])]);
}

#[test]
fn race_asks_five_and_lets_the_next_ride_wait_for_the_losers() {
    let waiting = [ride(1, 0, 0, 1), ride(2, 10, 1, 1), ride(3, 9000, 2, 1)];
    let street = Street::free(&[1, 2, 3, 4, 5, 6, 8900]);
    let plan = decide(PolicyKind::Race, LATER, &waiting, &street);
    assert_eq!(asked(&plan), [(1, vec![1, 2, 3, 4, 5])]);
    assert_eq!(plan.again, Again::AtOnce);
    let alone = decide(PolicyKind::Race, LATER, &waiting[2..], &street);
    assert_eq!(asked(&alone), [(3, vec![7, 6, 5, 4, 3])]);
    assert_eq!(alone.again, Again::After(Millis(1000)));
}

#[test]
fn a_wave_grows_by_cars_that_no_other_ride_is_matched_with() {
    let waiting = [ride(1, 0, 0, 3), ride(2, 300, 1, 1)];
    let street = Street::free(&[10, 20, 30, 310]);
    let plan = decide(PolicyKind::Default, LATER, &waiting, &street);
    assert_eq!(asked(&plan), [(1, vec![1, 2, 3]), (2, vec![4])]);
    let plan = decide(PolicyKind::Nearest, LATER, &waiting, &street);
    assert_eq!(asked(&plan), [(1, vec![1, 2, 3]), (2, vec![4])]);
}

#[test]
fn a_car_that_drops_off_soon_and_near_is_better_than_a_free_one_far_away() {
    let soon = |seconds| Some(Millis::from_secs(seconds));
    let street = Street::free(&[2000]).and(100, soon(60), Merits::default());
    let waiting = [ride(1, 0, 0, 1)];
    assert_eq!(asked(&decide(PolicyKind::Default, 1, &waiting, &street)), [(1, vec![2])]);
    for kind in [PolicyKind::Nearest, PolicyKind::Race, PolicyKind::Batch] {
        assert_eq!(asked(&decide(kind, 1, &waiting, &street)), [(1, vec![1])], "{kind}");
    }
    // Not where the free one is there as soon.
    let street = Street::free(&[650]).and(0, soon(60), Merits::default());
    assert_eq!(asked(&decide(PolicyKind::Default, 1, &waiting, &street)), [(1, vec![1])]);
}

#[test]
fn a_far_car_is_sent_only_to_who_has_waited() {
    let street = Street::free(&[5000]); // 500 s away
    for (second, expected) in [(0, vec![]), (16, vec![]), (17, vec![(1, vec![1])])] {
        let plan = decide(PolicyKind::Default, second, &[ride(1, 0, 0, 1)], &street);
        assert_eq!(asked(&plan), expected, "after {second} s");
    }
    // Nobody is ever sent farther than the longest pickup.
    for kind in PolicyKind::ALL {
        let plan = decide(kind, 290, &[ride(1, 0, 0, 1)], &Street::free(&[9100]));
        assert_eq!(asked(&plan), [], "{kind}");
    }
}

#[test]
fn the_window_opens_with_need() {
    let waiting: Vec<Waiting> = (1..=12).map(|n| ride(n, 0, 0, 1)).collect();
    let seconds = |n| Millis::from_secs(n);
    let cases = [
        (0, vec![10], Again::OnChange(seconds(60))),
        (1, vec![10], Again::OnChange(seconds(60))),
        (1, vec![5000], Again::OnChange(seconds(2))), // too far: nothing to gather
        (2, vec![10], Again::After(seconds(4))),
        (3, vec![10, 20], Again::After(seconds(2))),
        (12, vec![10], Again::After(seconds(10))),
    ];
    for (count, cars, again) in cases {
        let plan = decide(PolicyKind::Default, 1, &waiting[..count], &Street::free(&cars));
        assert_eq!(plan.again, again, "{count} rides, cars at {cars:?}");
    }
}

#[test]
fn merits_decide_between_about_equally_near_cars_and_no_more() {
    let most = Merits { acceptance: 1.0, rating: 5.0, idle: Millis(u64::MAX), spare: f32::MAX };
    assert_eq!(most.bonus(), Millis(220_000));
    assert_eq!(Merits::default().bonus(), Millis(0));
    let nonsense = Merits { acceptance: f32::NAN, rating: -7.0, idle: Millis(0), spare: f32::NAN };
    assert_eq!(nonsense.bonus(), Millis(0));
    let best = Merits { spare: 0.0, ..most };
    let waiting = [ride(1, 0, 0, 1)];
    for (metres, expected) in [(690, 2), (710, 1)] {
        let street = Street::free(&[0]).and(metres, None, best);
        let plan = decide(PolicyKind::Default, 1, &waiting, &street);
        assert_eq!(asked(&plan), [(1, vec![expected])], "the idle one {metres} m away");
    }
}

#[test]
fn the_same_view_yields_the_same_plan_and_nothing_yields_nothing() {
    let waiting = [ride(1, 0, 0, 3), ride(2, 40, 0, 3), ride(3, 80, 0, 3)];
    let street = Street::free(&[5, 5, 5, 60, 60, 90, 200]);
    for kind in PolicyKind::ALL {
        let plan = decide(kind, 1, &waiting, &street);
        assert_eq!(decide(kind, 1, &waiting, &street), plan, "{kind}");
        assert_eq!(asked(&decide(kind, 1, &[], &street)), [], "{kind}");
        assert_eq!(asked(&decide(kind, 1, &waiting, &Street::default())), [], "{kind}");
        assert_eq!(kind.as_str().parse::<PolicyKind>(), Ok(kind));
        assert_eq!(kind.build(Rules::default()).kind(), kind);
    }
    assert!("fastest".parse::<PolicyKind>().is_err());
}
