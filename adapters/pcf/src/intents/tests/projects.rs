//! Organizations (R-PCF-01, L-10): projects, known from CAPI or from a container alone.

use ncp_core::id::{NodeId, ProjectId};
use ncp_core::intent::ProjectEgress;

use super::*;

fn project<'a>(platform: &'a Platform, guid: &str) -> &'a ncp_core::intent::Project {
    platform.index.project(&ProjectId::new(guid)).unwrap()
}

#[test]
fn an_organization_is_a_project_that_keeps_its_id_under_every_name() {
    let mut platform = Platform::new();
    platform.organizations(&[("o1", "retail"), ("o2", "bank")]);
    let retail = project(&platform, "o1");
    assert_eq!((&*retail.name, retail.eager), ("retail", false));
    assert_eq!(retail.egress, ProjectEgress::Translated);
    assert_eq!(&*retail.origin.kind, "org");

    platform.capi(CapiUpdate::OrganizationsChanged(vec![org("o1", "retail-eu")]));
    assert_eq!(&*project(&platform, "o1").name, "retail-eu");
    assert_eq!(
        &*project(&platform, "o2").name,
        "bank",
        "what did not change stays"
    );
}

#[test]
fn an_organization_is_gone_only_when_a_complete_listing_lacks_it() {
    let mut platform = Platform::new();
    assert!(!platform.trusts(ScopeKind::Projects), "nothing has been listed");
    platform.organizations(&[("o1", "retail"), ("o2", "bank")]);
    assert!(platform.trusts(ScopeKind::Projects));
    platform.organizations(&[("o2", "bank")]);
    assert!(platform.index.project(&ProjectId::new("o1")).is_none());
    assert!(platform.index.project(&ProjectId::new("o2")).is_some());
}

#[test]
fn a_containers_own_record_is_enough_to_know_its_organization() {
    let mut platform = Platform::new();
    platform.upsert(&instance("i1"));
    assert_eq!(platform.workload("i1").project, ProjectId::new("org"));
    assert!(
        platform.index.project(&ProjectId::new("org")).is_none(),
        "Cloud Controller has said nothing yet"
    );
}

#[test]
fn eager_organizations_are_all_made_at_once() {
    let mut platform = Platform::new();
    platform.mapper = Mapper::new(true);
    platform.organizations(&[("o1", "retail")]);
    assert!(project(&platform, "o1").eager);
}

#[test]
fn spaces_need_no_listing_of_their_own() {
    let mut mapper = Mapper::new(false);
    let listing = Listing {
        generation: 1,
        items: Vec::new(),
        emptied: None,
    };
    assert!(mapper.capi(CapiUpdate::Spaces(listing)).is_empty());
    assert!(mapper.capi(CapiUpdate::SpacesChanged(Vec::new())).is_empty());
}

#[test]
fn a_cell_is_a_node_until_a_listing_lacks_it() {
    let mut platform = Platform::new();
    platform.generation = 1;
    let listing = |generation, cells: &[&str]| {
        let mut outputs = vec![Output::Begin(Scope::Cells, generation)];
        outputs.extend(cells.iter().map(|id| cell(id)));
        outputs.push(Output::End {
            scope: Scope::Cells,
            generation,
            complete: true,
        });
        outputs
    };
    platform.bbs(listing(1, &["cell-1", "cell-2"]));
    assert!(platform.index.node(&NodeId::new("cell-2")).is_some());
    platform.bbs(listing(2, &["cell-1"]));
    assert!(platform.index.node(&NodeId::new("cell-2")).is_none());
    assert!(platform.index.node(&NodeId::new("cell-1")).is_some());
}
