//! What a demo needs before anybody comes: a configuration, an empty database of its own, roads.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ibora_domain::units::Millis;
use sqlx::{ConnectOptions, Connection};

use super::city::City;
use super::{DemoError, DemoOptions, reachable};
use crate::app::{self, StartError};
use crate::config::{Config, Mode, PixSimulator, RoutingKind};
use crate::geo::{PowerLaw, RoadGraph, Router};
use crate::postgres::Database;

/// The demo's folder in the engine's data folder.
const FOLDER: &str = "demo";
/// How long a driver's share is held. Nobody watches for a day until the first is paid out.
const HOLD: Millis = Millis::from_secs(600);
/// All bots share one address.
const REQUESTS_PER_MIN: u32 = 1_000_000;

/// The configuration of a demo: the given one, on data of its own and with the drawn roads.
pub(super) fn config(
    given: &Config,
    options: &DemoOptions,
    city: &City,
) -> Result<Config, DemoError> {
    if given.mode == Mode::Production {
        return Err(DemoError::Production);
    }
    if given.database.url.is_some() && !given.seed.enabled {
        return Err(DemoError::ForeignDatabase);
    }
    let mut config = given.clone();
    let folder = app::data_dir(given)?.join(FOLDER);
    let (nodes, edges) = (folder.join("road_nodes.csv"), folder.join("road_edges.csv"));
    write(&nodes, &city.nodes_csv())?;
    write(&edges, &city.edges_csv())?;
    config.data.dir = Some(folder);
    config.routing.kind = RoutingKind::RoadGraph;
    config.routing.nodes = Some(nodes);
    config.routing.edges = Some(edges);
    config.seed.enabled = true;
    config.clock.speed = options.speed;
    config.limits.anonymous_per_min = REQUESTS_PER_MIN;
    // No bot pays or is paid real money, whoever is configured.
    config.pix.base_url.clear();
    config.pix.simulator = PixSimulator::On;
    config.money.hold_ms = HOLD;
    if let Some(listen) = options.listen {
        config.http.listen = listen;
    }
    config.http.allowed_origins.extend(origins(config.http.listen));
    // Phones report by the real clock, however fast the engine's runs.
    let stale = &mut config.dispatch.position_stale_ms;
    *stale = Millis(stale.0.saturating_mul(options.speed.into()));
    Ok(config)
}

/// Where browsers on this machine say that the page is from. Whoever shows it to others sets
/// `http.allowed_origins`; without, the page of those others gets on by long polls.
fn origins(listen: SocketAddr) -> [String; 2] {
    [format!("http://{}", reachable(listen)), format!("http://localhost:{}", listen.port())]
}

/// Drops what an earlier demo left: its clock ran ahead, its people are gone.
pub(super) async fn empty_database(config: &Config) -> Result<(), DemoError> {
    let database = Database::open(app::source(config)?).await.map_err(StartError::from)?;
    if let Some(owner) = database.owner_options() {
        let mut connection = owner.connect().await.map_err(StartError::from)?;
        let drop = sqlx::raw_sql("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public");
        drop.execute(&mut connection).await.map_err(StartError::from)?;
        connection.close().await.map_err(StartError::from)?;
    }
    database.close().await.map_err(StartError::from)?;
    Ok(())
}

/// The bots' own map: the same roads as the engine's.
pub(super) fn roads(city: &City) -> Result<Arc<dyn Router>, DemoError> {
    let (nodes, edges) = (city.nodes_csv(), city.edges_csv());
    let off_map = Arc::new(PowerLaw::default());
    Ok(Arc::new(RoadGraph::read(nodes.as_bytes(), edges.as_bytes(), off_map)?))
}

fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let failed = |source| DemoError::File { path: path.into(), source };
    if let Some(folder) = path.parent() {
        // The database's own user has to pass through.
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}
