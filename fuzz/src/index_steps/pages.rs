//! All pages of an answer, as one (BT-2.5).

use bittrickle_wire::messages::{ListFiles, ListPeers, Locate, Recall, Reply, Request, Search};

use super::model::Answer;

/// Asks until there is no further page.
pub(super) fn gather(request: &Request, mut ask: impl FnMut(Request) -> Reply) -> Answer {
    let (mut answer, mut next) = page(request, ask(request.clone()));
    for _ in 0..PAGES_MAX {
        let Some(request) = next else { return answer };
        let (more, after) = page(&request, ask(request.clone()));
        append(&mut answer, more);
        next = after;
    }
    panic!("{request:?} has pages without end")
}

/// One page, and the request for the next one.
fn page(request: &Request, reply: Reply) -> (Answer, Option<Request>) {
    match (reply, request) {
        (Reply::LoggedIn(logged_in), Request::Login(_)) => (Answer::LoggedIn(logged_in), None),
        (Reply::LoggedOut(_), Request::Logout(_)) => (Answer::LoggedOut, None),
        (Reply::HeartbeatReply(reply), Request::Heartbeat(_)) => (Answer::Heartbeat(reply), None),
        (Reply::Published(published), Request::Publish(_)) => (Answer::Published(published.offered), None),
        (Reply::Unpublished(_), Request::Unpublish(_)) => (Answer::Unpublished, None),
        (Reply::Announced(_), Request::Announce(_)) => (Answer::Announced, None),
        (Reply::Recalled(recalled), Request::Recall(recall)) => {
            let (publications, digests) = (recalled.publications, recalled.digests.into_vec());
            let rank = recall.rank + u32::try_from(digests.len()).expect("a page is short");
            let next = (!digests.is_empty()).then_some(Request::Recall(Recall { rank }));
            (Answer::Recalled { publications, digests }, next)
        }
        (Reply::Resumed(resumed), Request::Resume(_)) => {
            (Answer::Resumed { offered: resumed.offered, is_resumed: resumed.is_resumed }, None)
        }
        (Reply::Found(found), Request::Search(search)) => {
            let next = |after| Request::Search(Search { after: Some(after), ..search.clone() });
            (Answer::Hits(found.hits.into_vec()), found.next.map(next))
        }
        (Reply::Located(located), Request::Locate(locate)) => {
            let next = |after| Request::Locate(Locate { after: Some(after), ..locate.clone() });
            let (members, sources) = (located.members, located.sources.into_vec());
            (Answer::Sources { members, sources }, located.next.map(next))
        }
        (Reply::Peers(peers), Request::ListPeers(_)) => {
            let next = |after| Request::ListPeers(ListPeers { after: Some(after) });
            (Answer::Members(peers.members.into_vec()), peers.next.map(next))
        }
        (Reply::Files(files), Request::ListFiles(_)) => {
            let next = |after| Request::ListFiles(ListFiles { after: Some(after) });
            (Answer::Files(files.files.into_vec()), files.next.map(next))
        }
        (Reply::Refused(refused), _) => (Answer::Refused(refused.code), None),
        (reply, request) => panic!("{reply:?} answers {request:?}"),
    }
}

fn append(answer: &mut Answer, page: Answer) {
    match (answer, page) {
        (Answer::Hits(all), Answer::Hits(page)) => all.extend(page),
        (Answer::Members(all), Answer::Members(page)) => all.extend(page),
        (Answer::Files(all), Answer::Files(page)) => all.extend(page),
        (Answer::Sources { members, sources }, Answer::Sources { members: again, sources: page }) => {
            assert_eq!(*members, again, "every page counts the same members");
            sources.extend(page);
        }
        (
            Answer::Recalled { publications, digests },
            Answer::Recalled { publications: again, digests: page },
        ) => {
            assert_eq!(*publications, again, "every page counts the same publications");
            digests.extend(page);
        }
        (answer, page) => panic!("{page:?} follows {answer:?}"),
    }
}

/// The tables have 80 names and 33 contents. Each page looks at a name at least, or lists a hit.
const PAGES_MAX: usize = 3_000;
