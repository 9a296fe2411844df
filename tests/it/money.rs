//! What people read of the money: a driver's balance, statement and earnings, and the books at any
//! moment, over what is in use and what was archived.

mod books;
mod by_hand;
mod driver;
mod storm;
mod watched;
mod whole;

use actix_web::http::Method;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::world::World;

/// The platform, as owner of accounts.
const PLATFORM: Uuid = Uuid::nil();

/// Books an event about a thing: account, owner and centavos of each posting, debits positive.
async fn book(
    pool: &PgPool,
    (key, kind): (&str, &str),
    (subject_kind, subject): (&str, Uuid),
    postings: &[(i16, Uuid, i64)],
) {
    let lines = i16::try_from(postings.len()).expect("few");
    sqlx::query(
        "SELECT ledger_write(1::smallint, ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], ARRAY[$5],
             ARRAY[0::smallint], ARRAY[NULL::text], ARRAY[$6], ARRAY[now()], $7, $8, $9, $10, $11)",
    )
    .bind(Uuid::now_v7())
    .bind(key)
    .bind(kind)
    .bind(subject_kind)
    .bind(subject)
    .bind(lines)
    .bind(vec![1_i32; postings.len()])
    .bind((1..=lines).collect::<Vec<_>>())
    .bind(postings.iter().map(|(code, ..)| *code).collect::<Vec<_>>())
    .bind(postings.iter().map(|(_, owner, _)| *owner).collect::<Vec<_>>())
    .bind(postings.iter().map(|(.., amount)| *amount).collect::<Vec<_>>())
    .execute(pool)
    .await
    .expect("booked");
}

/// The page that a person gets, as text, and its type.
async fn page(world: &World, token: &str, path: &str, accepts: &str) -> (String, String) {
    let asked = world.call(Method::GET, path).token(token).header("Accept-Language", accepts);
    let answer = asked.empty().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    (answer.header("content-type").to_owned(), answer.text)
}

fn texts<'v>(items: &'v Value, field: &str) -> Vec<&'v str> {
    let items = items["items"].as_array().expect("items").iter();
    items.map(|item| item[field].as_str().expect("a text")).collect()
}
