//! The next ride of a driver who is on his way to a drop-off.

use rand::RngExt;
use serde_json::json;

use super::{CommandError, DriverBot, Phase, Ride, Step};

impl DriverBot {
    /// Near the end of a ride he takes the next one, as he would any other.
    pub(super) async fn take_next(&mut self) -> Step {
        let on_the_way = matches!(self.phase, Phase::Driving { .. }) && self.next.is_none();
        let Some(offer) = self.waiting.pop_if(|_| on_the_way) else { return Ok(()) };
        let takes = !self.rng.random_bool(self.habits.declines);
        let op = if takes { "ride.accept" } else { "ride.decline" };
        let d = json!({"offer_id": offer.offer_id});
        match self.session.command(op, Some(offer.ride_id), &d).await {
            Ok(done) if takes => {
                self.engine.figures.accepts_won.add();
                match Ride::read(&done.body) {
                    Some(ride) => self.ride_changed(ride),
                    None => Ok(()),
                }
            }
            Ok(_) => {
                self.engine.figures.declines.add();
                Ok(())
            }
            Err(CommandError::Session(error)) => Err(error),
            Err(CommandError::Refused { .. }) => {
                self.engine.figures.accepts_lost.add();
                Ok(())
            }
            Err(CommandError::Unanswered) => {
                self.session.start_over();
                Ok(())
            }
        }
    }
}
