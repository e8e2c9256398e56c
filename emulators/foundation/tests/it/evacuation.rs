//! Cells that drain, vanish and come back.

use diego_wire::bbs::{ActualLrpInstanceChangedEvent, Presence};
use diego_wire::event::BbsEvent;
use diego_wire::routes::LRP_INSTANCE_EVENTS;

use crate::client::{Events, actual, app, with_space};

async fn changed(events: &mut Events) -> ActualLrpInstanceChangedEvent {
    match events.next().await.expect("the stream goes on").1 {
        BbsEvent::InstanceChanged(changed) => *changed,
        other => panic!("{} instead of a change", other.name()),
    }
}

#[tokio::test]
async fn evacuation_keeps_the_container_until_a_replacement_runs() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1)).unwrap();
    let old = foundation.world().containers[0].clone();
    foundation.hold_placement(true);
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.evacuate(&old.cell).unwrap();
    let event = changed(&mut events).await;
    let (before, after) = (event.before.unwrap(), event.after.unwrap());
    let (before_tag, after_tag) = (before.modification_tag.unwrap(), after.modification_tag.unwrap());
    assert_eq!(
        (before.presence, after.presence),
        (Presence::Ordinary as i32, Presence::Evacuating as i32)
    );
    assert_ne!(
        before_tag.epoch, after_tag.epoch,
        "the evacuating record is a new row"
    );
    assert_eq!(after_tag.index, 0);
    assert_eq!(
        event.actual_lrp_instance_key.unwrap().instance_guid,
        old.container,
        "of the same container"
    );
    let BbsEvent::InstanceCreated(created) = events.next().await.unwrap().1 else {
        panic!("a replacement")
    };
    let tag = created.actual_lrp.unwrap().modification_tag.unwrap();
    assert_eq!(
        (tag.epoch, tag.index),
        (before_tag.epoch, before_tag.index + 1),
        "the old row lives on"
    );
    assert_eq!(actual(&foundation).await.len(), 2, "two records share the index");
    foundation.hold_placement(false);
    assert_eq!(
        events.take(3).await,
        [
            "changed UNCLAIMED ORDINARY to CLAIMED ORDINARY",
            "changed CLAIMED ORDINARY to RUNNING ORDINARY",
            "removed RUNNING EVACUATING"
        ]
    );
    assert_ne!(foundation.world().containers[0].cell, old.cell);
}

#[tokio::test]
async fn a_lost_cell_makes_suspects_under_an_unmoved_tag() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1)).unwrap();
    let old = foundation.world().containers[0].clone();
    foundation.hold_placement(true);
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.lose_cell(&old.cell).unwrap();
    let event = changed(&mut events).await;
    let (before, after) = (event.before.unwrap(), event.after.unwrap());
    assert_eq!(after.presence, Presence::Suspect as i32);
    assert_eq!(before.modification_tag, after.modification_tag);
    assert_eq!(events.take(1).await, ["created UNCLAIMED ORDINARY"]);
    foundation.return_cell(&old.cell).unwrap();
    assert_eq!(
        events.take(2).await,
        [
            "removed UNCLAIMED ORDINARY",
            "changed RUNNING SUSPECT to RUNNING ORDINARY"
        ]
    );
    assert_eq!(foundation.world().containers[0].container, old.container);
}

#[tokio::test]
async fn a_suspect_goes_when_its_replacement_runs() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1)).unwrap();
    let old = foundation.world().containers[0].clone();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.lose_cell(&old.cell).unwrap();
    assert_eq!(events.take(5).await[4], "removed RUNNING SUSPECT");
    foundation.return_cell(&old.cell).unwrap();
    assert_eq!(foundation.world().containers.len(), 1);
}

#[tokio::test]
async fn an_evacuating_cell_that_vanishes_takes_its_containers_with_it() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1)).unwrap();
    let cell = foundation.world().containers[0].cell.clone();
    foundation.hold_placement(true);
    foundation.evacuate(&cell).unwrap();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.lose_cell(&cell).unwrap();
    assert_eq!(events.take(1).await, ["removed RUNNING EVACUATING"]);
    assert_eq!(foundation.world().containers, []);
}

#[tokio::test]
async fn tasks_of_a_lost_cell_fail() {
    let foundation = with_space().await;
    foundation.push(&app("a", 0)).unwrap();
    foundation.run_task("a", "true").unwrap();
    let cell = foundation.world().containers[0].cell.clone();
    foundation.lose_cell(&cell).unwrap();
    assert_eq!(foundation.world().containers, []);
}
