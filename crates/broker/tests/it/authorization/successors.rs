//! Members of consumer groups that may see less than the previous owner of their partitions.

use super::{DESCRIBE, GROUP, READ, TOPIC, USER, acl, grant, start};
use crate::consumer_groups::{Client, Owned};
use crate::driver::Driver;
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::*;

const ROOT: &str = "User:root";
const ROUNDS: usize = 6;

/// A member, who it is, and its instance.
type Who<'a> = (&'a mut Client, &'a str, Option<&'a str>);

fn beat(driver: &mut Driver, (client, principal, instance): Who<'_>) {
    driver.context.principal = principal.into();
    let response = driver.call(ConsumerGroupHeartbeatRequest {
        instance_id: instance.map(Into::into),
        subscribed_topic_names: None,
        subscribed_topic_regex: Some("x.*".into()),
        ..client.full()
    });
    assert_eq!(client.take(response), ErrorCode::NONE);
    client.reconcile();
}

/// A static member goes and will be back.
fn leave(driver: &mut Driver, client: &Client, principal: &str) {
    driver.context.principal = principal.into();
    let leave = ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        member_epoch: -2,
        ..client.keep_alive()
    };
    assert_eq!(driver.call(leave).error_code, ErrorCode::NONE);
}

/// A driver with topics `xa`, which the user may describe, and `xb`, which it may not.
fn with_two_topics() -> Driver {
    let mut driver = start();
    grant(&mut driver, &[(GROUP, READ)]);
    driver.context.principal = ROOT.into();
    for topic in ["xa", "xb"] {
        driver.create(topic, 2);
    }
    let acl = create_acls::AclCreation {
        resource_name: "xa".into(),
        ..acl(TOPIC, DESCRIBE)
    };
    driver.call(CreateAclsRequest { creations: vec![acl] });
    driver
}

fn all_of(driver: &Driver, topics: &[&str]) -> Owned {
    let partitions = |topic: &&str| {
        let id = driver.topic_id(topic);
        [(id, 0), (id, 1)]
    };
    topics.iter().flat_map(partitions).collect()
}

/// All topics are read, and none by a user that may not see it.
fn assert_shared(driver: &Driver, user: &Client, root: &Client) {
    let read: Owned = user.owned.union(&root.owned).copied().collect();
    assert_eq!(read, all_of(driver, &["xa", "xb"]));
    assert!(user.owned.is_disjoint(&root.owned));
    assert!(user.owned.is_subset(&all_of(driver, &["xa"])));
}

#[test]
fn what_the_successor_of_a_static_member_may_not_see_goes_to_others() {
    for restarts in [false, true] {
        let mut driver = with_two_topics();
        let (mut first, mut root) = (Client::new("s1", &[]), Client::new("r", &[]));
        for _ in 0..ROUNDS {
            beat(&mut driver, (&mut first, ROOT, Some("i")));
            beat(&mut driver, (&mut root, ROOT, None));
        }
        let hidden = all_of(&driver, &["xb"]);
        assert!(!first.owned.is_disjoint(&hidden), "it has some of both topics");
        leave(&mut driver, &first, ROOT);
        if restarts {
            driver.crash();
        }
        let mut second = Client::new("s2", &[]);
        for _ in 0..ROUNDS {
            beat(&mut driver, (&mut second, USER, Some("i")));
            beat(&mut driver, (&mut root, ROOT, None));
        }
        assert_shared(&driver, &second, &root);
        let epoch = root.epoch;
        leave(&mut driver, &second, USER);
        let mut third = Client::new("s3", &[]);
        beat(&mut driver, (&mut third, ROOT, Some("i")));
        assert_eq!(third.epoch, epoch + 1, "who may see more gets a share of it");
    }
}

#[test]
fn what_a_member_may_not_see_any_more_after_a_restart_goes_to_others() {
    let properties = |super_users| [("authorizer.class.name", "acl"), ("super.users", super_users)];
    let mut driver = with_two_topics();
    driver.restart_with(&properties("User:root;User:u"));
    let (mut user, mut root) = (Client::new("u", &[]), Client::new("r", &[]));
    for _ in 0..ROUNDS {
        beat(&mut driver, (&mut user, USER, None));
        beat(&mut driver, (&mut root, ROOT, None));
    }
    let hidden = all_of(&driver, &["xb"]);
    assert!(!user.owned.is_disjoint(&hidden), "it has some of both topics");
    driver.restart_with(&properties(ROOT));
    for _ in 0..ROUNDS {
        beat(&mut driver, (&mut root, ROOT, None));
        beat(&mut driver, (&mut user, USER, None));
    }
    assert_shared(&driver, &user, &root);
    // Restarts alone change nothing.
    let epoch = root.epoch;
    driver.crash();
    beat(&mut driver, (&mut user, USER, None));
    beat(&mut driver, (&mut root, ROOT, None));
    assert_eq!((user.epoch, root.epoch), (epoch, epoch));
}
