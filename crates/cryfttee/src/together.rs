//! Writing together what became ready together.

/// Lets every other request that is ready get as far as this one, before this one is written.
///
/// One thread serves all connections. Written one by one, each write wakes a sleeping signer or client, which is done
/// before the next is written and sleeps again. Written in a row, they find the other end awake. How much that saves
/// depends on what else the cores do: on busy ones next to nothing. A request that is alone waits for nobody: this is one look at what else there is.
pub(crate) async fn together() {
    tokio::task::yield_now().await;
}
