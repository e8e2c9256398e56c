//! Event streams: framing, sequences of ordinary life, eviction, faults.

use diego_wire::bbs;
use diego_wire::event::BbsEvent;
use diego_wire::routes::{GROUP_EVENTS, LRP_INSTANCE_EVENTS, TASK_EVENTS};
use foundation_emulator::{Command, StreamFaults};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{DEADLINE, Events, actual, app, http, with_space};

#[tokio::test]
async fn the_bytes_are_exact() {
    let foundation = with_space().await;
    let address = foundation.endpoints().bbs[0]
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("POST {TASK_EVENTS} HTTP/1.1\r\nHost: bbs\r\nContent-Length: 0\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut read = async |marker: &str| {
        let mut text = String::new();
        while !text.contains(marker) {
            let mut byte = [0; 1024];
            let count = tokio::time::timeout(DEADLINE, socket.read(&mut byte))
                .await
                .unwrap()
                .unwrap();
            assert!(count > 0, "ended after {text}");
            text.push_str(std::str::from_utf8(&byte[..count]).unwrap());
        }
        text
    };
    let head = read("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in [
        "Content-Type: text/event-stream; charset=utf-8\r\n",
        "Cache-Control: no-cache, no-store, must-revalidate\r\n",
        "Connection: keep-alive\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        assert!(head.contains(line), "{head}");
    }
    assert!(head.ends_with("\r\n\r\n"), "nothing comes before the first event");
    foundation.push(&app("a", 0)).unwrap();
    foundation.run_task("a", "true").unwrap();
    foundation.end_streams();
    let body = read("0;\r\n\r\n").await;
    let (size, rest) = body.split_once(";\r\n").expect("an empty chunk extension");
    let size = usize::from_str_radix(size, 16).unwrap();
    assert!(rest.starts_with("id: 0\nevent: task_created\ndata: "), "{rest}");
    assert!(
        rest[..size].ends_with("\n\n") && rest[size..].starts_with("\r\n"),
        "one chunk is one event"
    );
    assert!(rest.contains("id: 1\nevent: task_changed\n"));
}

#[tokio::test]
async fn an_instance_is_wanted_placed_run_and_stopped() {
    let foundation = with_space().await;
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.push(&app("a", 1)).unwrap();
    assert_eq!(
        events.take(4).await,
        [
            "desired_lrp_created",
            "created UNCLAIMED ORDINARY",
            "changed UNCLAIMED ORDINARY to CLAIMED ORDINARY",
            "changed CLAIMED ORDINARY to RUNNING ORDINARY"
        ]
    );
    foundation.stop_app("a").unwrap();
    assert_eq!(
        events.take(2).await,
        ["desired_lrp_removed", "removed RUNNING ORDINARY"]
    );
}

#[tokio::test]
async fn numbers_count_from_0_on_each_connection_and_tags_move() {
    let foundation = with_space().await;
    foundation.push(&app("first", 1)).unwrap();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.push(&app("a", 1)).unwrap();
    let (mut numbers, mut tags) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (number, event) = events.next().await.unwrap();
        numbers.push(number);
        match event {
            BbsEvent::InstanceCreated(of) => tags.push(of.actual_lrp.unwrap().modification_tag.unwrap()),
            BbsEvent::InstanceChanged(of) => tags.push(of.after.unwrap().modification_tag.unwrap()),
            _ => {}
        }
    }
    assert_eq!(numbers, [0, 1, 2, 3]);
    assert_eq!(tags.iter().map(|tag| tag.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(tags.iter().all(|tag| tag.epoch == tags[0].epoch));
}

#[tokio::test]
async fn crashes_restart_at_once_and_later_wait() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1)).unwrap();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    for count in 1..=3 {
        foundation.crash("a", 0).unwrap();
        let seen = events.take(5).await;
        assert_eq!(seen[0], format!("crashed {count}"));
        assert_eq!(
            seen[1..3],
            ["created UNCLAIMED ORDINARY", "removed RUNNING ORDINARY"]
        );
    }
    let container = foundation.world().containers[0].container.clone();
    foundation.crash("a", 0).unwrap();
    assert_eq!(events.take(1).await, ["crashed 4"]);
    let (_, BbsEvent::InstanceChanged(changed)) = events.next().await.unwrap() else {
        panic!("a change")
    };
    assert_eq!(changed.after.unwrap().state, "CRASHED");
    assert_eq!(
        changed.actual_lrp_instance_key.unwrap().instance_guid,
        container,
        "the event names the old container"
    );
    assert_eq!(
        actual(&foundation).await[0].actual_lrp_instance_key,
        Some(Default::default()),
        "the record none"
    );
    foundation
        .apply(Command::RestartCrashed {
            app: "a".into(),
            index: 0,
        })
        .unwrap();
    assert_eq!(
        events.take(2).await,
        ["created UNCLAIMED ORDINARY", "removed CRASHED ORDINARY"]
    );
}

#[tokio::test]
async fn a_restarted_instance_is_removed_twice() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1)).unwrap();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation
        .apply(Command::RestartInstance {
            app: "a".into(),
            index: 0,
        })
        .unwrap();
    let seen = events.take(5).await;
    assert_eq!(
        seen[..3],
        [
            "removed RUNNING ORDINARY",
            "removed RUNNING ORDINARY",
            "created UNCLAIMED ORDINARY"
        ]
    );
}

#[tokio::test]
async fn tasks_run_and_resolve() {
    let foundation = with_space().await;
    foundation.push(&app("a", 0)).unwrap();
    let mut events = Events::open(&foundation, TASK_EVENTS).await;
    let task = foundation.run_task("a", "true").unwrap();
    foundation.finish_task(&task, Some("exit status 1")).unwrap();
    assert_eq!(
        events.take(5).await,
        [
            "task_created",
            "task PENDING to RUNNING",
            "task RUNNING to COMPLETED",
            "task COMPLETED to RESOLVING",
            "task_removed"
        ]
    );
    foundation.restage("a").unwrap();
    assert_eq!(events.take(5).await.len(), 5, "staging is a task too");
}

#[tokio::test]
async fn a_rename_changes_the_desired_record_and_a_restage_replaces_it() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1)).unwrap();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation
        .apply(Command::RenameApp {
            app: "a".into(),
            name: "b".into(),
        })
        .unwrap();
    let (_, BbsEvent::DesiredChanged(changed)) = events.next().await.unwrap() else {
        panic!("a change")
    };
    assert_eq!(changed.after.unwrap().metric_tags["app_name"].r#static, "b");
    foundation.deploy("b").unwrap();
    let seen = events.take(6).await;
    assert_eq!(seen.iter().filter(|text| text.starts_with("desired")).count(), 2);
    let web = &foundation.world().apps[0];
    assert!(
        !web.process_guids[0].starts_with(&web.guid),
        "a rolling deployment leaves a process of its own guid"
    );
}

#[tokio::test]
async fn a_cell_filter_keeps_desired_events_and_drops_unplaced_ones() {
    let foundation = with_space().await;
    let filter = bbs::EventsByCellId {
        cell_id: "diego-cell-1".into(),
    };
    let mut events = Events::open_on(&foundation, LRP_INSTANCE_EVENTS, &filter).await;
    foundation.push(&app("a", 2)).unwrap();
    assert_eq!(
        events.take(3).await,
        [
            "desired_lrp_created",
            "changed UNCLAIMED ORDINARY to CLAIMED ORDINARY",
            "changed CLAIMED ORDINARY to RUNNING ORDINARY"
        ],
        "of the second instance only"
    );
}

#[tokio::test]
async fn a_slow_reader_is_evicted_with_a_clean_end() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1)).unwrap();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    // Nothing else runs meanwhile on this thread, so the queue fills.
    for round in 0..1025 {
        foundation
            .apply(Command::SetRoutable {
                app: "a".into(),
                index: 0,
                routable: round % 2 == 0,
            })
            .unwrap();
    }
    let mut seen = 0;
    while events.next().await.is_some() {
        seen += 1;
    }
    assert_eq!(seen, 1024, "the queue drains, then the stream ends");
    let mut again = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.scale("a", 0).unwrap();
    assert_eq!(again.take(1).await, ["desired_lrp_changed"]);
}

#[tokio::test]
async fn events_are_dropped_swapped_and_doubled_on_demand() {
    let foundation = with_space().await;
    foundation.set_stream_faults(StreamFaults {
        drop: 1,
        swap: 1,
        duplicate_removed: true,
        ..Default::default()
    });
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.push(&app("a", 1)).unwrap();
    assert_eq!(
        events.take(3).await,
        [
            "changed UNCLAIMED ORDINARY to CLAIMED ORDINARY",
            "created UNCLAIMED ORDINARY",
            "changed CLAIMED ORDINARY to RUNNING ORDINARY"
        ]
    );
    foundation.scale("a", 0).unwrap();
    assert_eq!(
        events.take(3).await[1..],
        ["removed RUNNING ORDINARY", "removed RUNNING ORDINARY"]
    );
}

#[tokio::test]
async fn a_stream_ends_after_so_many_events() {
    let foundation = with_space().await;
    foundation.set_stream_faults(StreamFaults {
        end_after: Some(2),
        ..Default::default()
    });
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.push(&app("a", 1)).unwrap();
    assert_eq!(events.take(2).await.len(), 2);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn the_deprecated_group_stream_is_a_get() {
    let foundation = with_space().await;
    let url = format!("{}{GROUP_EVENTS}", foundation.endpoints().bbs[0]);
    assert_eq!(http().post(&url).send().await.unwrap().status(), 405);
    let mut events = Events::from(http().get(&url).send().await.unwrap());
    foundation.push(&app("a", 1)).unwrap();
    let seen = events.take(4).await;
    assert_eq!(
        seen,
        [
            "desired_lrp_created",
            "actual_lrp_created",
            "actual_lrp_changed",
            "actual_lrp_changed"
        ]
    );
}

#[tokio::test]
async fn a_refused_subscription_is_a_500_and_an_unready_one_a_503() {
    let foundation = with_space().await;
    let url = format!("{}{LRP_INSTANCE_EVENTS}", foundation.endpoints().bbs[0]);
    let status = async || {
        http()
            .post(&url)
            .body(vec![0xff])
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status().await, 500, "a body that is no filter");
    foundation.set_bbs_warming(true);
    assert_eq!(status().await, 503);
}

#[tokio::test]
async fn a_silent_stream_is_open_and_says_nothing() {
    let foundation = with_space().await;
    foundation.set_stream_faults(StreamFaults {
        silent: true,
        ..Default::default()
    });
    let silent = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.clear_faults();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.push(&app("a", 1)).unwrap();
    assert_eq!(events.take(4).await.len(), 4);
    assert!(silent.has_nothing());
}
