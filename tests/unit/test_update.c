/* test_update.c - campaigns that change again and again, drawn from a seed, in every state of their clips: the ledger says after each
 * update what the campaign says, counts and shots are right, and what has not changed is what it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "farm_fixture.h"

#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/erase.h"
#include "coordinator/ledger/reseed.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/ledger/update.h"

#define MODEL SOURCE_DIR "/tests/parity/fixtures/t2v-0/model"
enum { IDS = 24, ROUNDS = 60 };

static char *folder;
static unsigned long state_of_chance;

static int chance(int most)
{
    state_of_chance = state_of_chance * 6364136223846793005ul + 1442695040888963407ul;
    return (int)(state_of_chance >> 33) % most;
}

/* ---- campaigns ---- */

typedef struct {
    int count, id[IDS], colour[IDS], name[IDS];
    int renditions, fps;
} Table;

static void write_file(const char *name, const char *text)
{
    char *path = path_join(folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

static Campaign *load(const Table *t)
{
    char *text = NULL, *path = path_join(folder, "c.yaml");
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    fprintf(f, "id,name,colour\n");
    for (int i = 0; i < t->count; i++) fprintf(f, "a/%d,n%d,c%d\n", t->id[i], t->name[i], t->colour[i]);
    fclose(f);
    write_file("c.csv", text);
    free(text);
    text = text_format("campaign: c\nmodel: %s\ncustomers: c.csv\nprompt: \"a {{colour}} ball\"\nseed: 7\nsize: 32x48\n"
                       "frames: 5\nfps: %d\nsteps: 2\nrenditions: [%s]\n",
                       MODEL, t->fps, t->renditions ? "preview, master" : "preview");
    write_file("c.yaml", text);
    free(text);
    Campaign *c = NULL;
    assert_good(campaign_load(path, &c));
    free(path);
    return c;
}

static bool has_id(const Table *t, int id)
{
    for (int i = 0; i < t->count; i++)
        if (t->id[i] == id) return true;
    return false;
}

static void remove_at(Table *t, int at)
{
    t->count--;
    for (int i = at; i < t->count; i++) {
        t->id[i] = t->id[i + 1];
        t->name[i] = t->name[i + 1];
        t->colour[i] = t->colour[i + 1];
    }
}

static void swap(int *a, int *b)
{
    int was = *a;
    *a = *b;
    *b = was;
}

static void change(Table *t)
{
    for (int i = chance(3); i > 0 && t->count > 1; i--) remove_at(t, chance(t->count));
    for (int i = chance(4); i > 0 && t->count < IDS; i--) {
        int id = chance(IDS);
        if (has_id(t, id)) continue;
        t->id[t->count] = id;
        t->name[t->count] = chance(3);
        t->colour[t->count++] = chance(5);
    }
    for (int i = chance(3); i > 0; i--) t->colour[chance(t->count)] = chance(5);
    for (int i = chance(3); i > 0; i--) t->name[chance(t->count)] = chance(3);
    if (chance(4) == 0) { /* another order */
        int a = chance(t->count), b = chance(t->count);
        swap(&t->id[a], &t->id[b]);
        swap(&t->name[a], &t->name[b]);
        swap(&t->colour[a], &t->colour[b]);
    }
    if (chance(8) == 0) t->renditions = !t->renditions;
    if (chance(10) == 0) t->fps = 8 + chance(3);
}

/* ---- what happens to clips ---- */

static Status set_clip(Ledger *l, int64_t clip, ClipState to)
{
    int64_t shot;
    TRY(ledger_sql_run(l,
                       "UPDATE clips SET state = ?1, sha256 = 'hash of ' || clip_id || clip, file = 'clips/' || stem ||"
                       " '.mp4' WHERE clip = ?2",
                       "ti", ledger_clip_state_name(to), clip));
    ledger_state_add_clips(l, CLIP_PLANNED, -1);
    ledger_state_add_clips(l, to, 1);
    TRY(ledger_sql_number(l, &shot, "SELECT shot FROM clips WHERE clip = ?1", "i", clip));
    return ledger_follow_clips(l, shot);
}

static void let_happen(Ledger *l)
{
    static const ClipState becomes[] = {CLIP_DELIVERED, CLIP_APPROVED, CLIP_PAUSED, CLIP_CANCELLED, CLIP_DELIVERED};
    int64_t clip[IDS], shot[IDS];
    int count = 0;
    assert_good(ledger_begin(l, 200));
    Query q = ledger_sql_query(l, "SELECT clip, shot FROM clips WHERE state = 'planned'", "");
    while (ledger_sql_next(&q)) {
        clip[count] = ledger_sql_int(&q, 0);
        shot[count++] = ledger_sql_int(&q, 1);
    }
    assert_good(q.status);
    for (int i = 0; i < count; i++)
        if (chance(3) > 0) assert_good(set_clip(l, clip[i], becomes[chance(5)]));
    for (int i = 0; i < count; i++) {
        int64_t planned;
        assert_good(ledger_sql_number(l, &planned, "SELECT count(*) FROM shots WHERE shot = ?1 AND state = 'planned'",
                                      "i", shot[i]));
        if (planned && chance(4) == 0)
            assert_good(ledger_give_up(l, LEASE_RENDER, shot[i], "too hard", &(bool){false}));
    }
    assert_good(ledger_commit(l));
    assert_good(ledger_check_counts(l));
}

/* ---- what must hold ---- */

static void is_none(Ledger *l, const char *what, const char *sql)
{
    int64_t n = -1;
    Query q = ledger_sql_query(l, sql, "");
    if (ledger_sql_next(&q)) n = ledger_sql_int(&q, 0);
    ledger_sql_end(&q);
    assert_good(q.status);
    if (n != 0) fail_msg("%s: %d", what, (int)n);
}

static void check_ledger(Ledger *l, const Campaign *c)
{
    int64_t row = 0;
    Query q =
        ledger_sql_query(l, "SELECT clip_id, key, customer, stem FROM clips JOIN specs USING(shot) ORDER BY clip", "");
    for (; ledger_sql_next(&q); row++) {
        assert_true(row < c->clip_count);
        assert_string_equal(ledger_sql_text(&q, 0), c->clip[row].clip_id);
        assert_string_equal(ledger_sql_text(&q, 1), c->shot[c->clip[row].shot].key);
        assert_non_null(strstr(ledger_sql_text(&q, 2), customers_value(&c->customers, row, 1)));
    }
    assert_good(q.status);
    assert_int_equal(row, c->clip_count);
    assert_good(ledger_check_counts(l));
    is_none(l, "shots that nobody wants", "SELECT count(*) FROM shots WHERE shot NOT IN (SELECT shot FROM clips)");
    is_none(l, "shots without a spec", "SELECT count(*) FROM shots WHERE shot NOT IN (SELECT shot FROM specs)");
    is_none(l, "specs without a shot", "SELECT count(*) FROM specs WHERE shot NOT IN (SELECT shot FROM shots)");
    is_none(l, "shots with another number of clips",
            "SELECT count(*) FROM shots WHERE clips <> (SELECT count(*) FROM clips WHERE clips.shot = shots.shot)");
    is_none(
        l, "clips that wait for a shot that nobody renders",
        "SELECT count(*) FROM clips JOIN shots USING(shot) WHERE clips.state = 'planned' AND shots.state <> 'planned'");
    is_none(l, "shots to render that no clip waits for",
            "SELECT count(*) FROM shots WHERE state = 'planned' AND NOT EXISTS(SELECT 1 FROM clips WHERE clips.shot ="
            " shots.shot AND clips.state = 'planned')");
    is_none(l, "clips to be made that have files",
            "SELECT count(*) FROM clips WHERE state = 'planned' AND (file IS NOT NULL OR sha256 IS NOT NULL)");
}

typedef struct {
    char *text; /* "id state hash stem" of every clip */
} Picture;

static Picture look(Ledger *l, const char *id)
{
    Picture p = {text_copy("")};
    Query q = ledger_sql_query(
        l, "SELECT clip_id || ' ' || state || ' ' || ifnull(sha256, '') || ' ' || stem FROM clips WHERE clip_id = ?1",
        "t", id);
    if (ledger_sql_next(&q)) {
        free(p.text);
        p.text = text_copy(ledger_sql_text(&q, 0));
    }
    ledger_sql_end(&q);
    return p;
}

static bool is_made_again(const Changes *x, int64_t row)
{
    if (x->number[row] < 0) return true;
    for (int64_t i = 0; i < x->changed_count; i++)
        if (x->changed[i].row == row) return x->changed[i].follows != FOLLOWS_LIST;
    return false;
}

/* Who left the table and came back, for one. */
static void check_expired(Ledger *l)
{
    char **id;
    int64_t count, at_work;
    assert_good(ledger_find_expired(l, 1e12, &id, &count));
    for (int64_t i = 0; i < count; i++) {
        assert_good(ledger_sql_number(l, &at_work,
                                      "SELECT count(*) FROM clips WHERE clip_id = ?1 AND"
                                      " state IN ('planned', 'waiting', 'finishing', 'paused')",
                                      "t", id[i]));
        assert_int_equal(at_work, 0);
        free(id[i]);
    }
    free(id);
}

static void update(Ledger *l, const Campaign *c)
{
    Changes x;
    Picture before[IDS];
    assert_good(ledger_begin(l, 150));
    assert_good(changes_find(l, c, &x));
    for (int64_t i = 0; i < c->clip_count; i++) before[i] = look(l, c->clip[i].clip_id);
    int64_t removed = x.removed_count, tombs, gone = 0;
    assert_good(ledger_update(l, c, &x));
    assert_good(ledger_commit(l));
    check_ledger(l, c);
    for (int64_t i = 0; i < c->clip_count; i++) {
        Picture now = look(l, c->clip[i].clip_id);
        if (!is_made_again(&x, i)) assert_string_equal(now.text, before[i].text);
        if (*before[i].text) assert_string_equal(strrchr(now.text, ' '), strrchr(before[i].text, ' ')); /* its stem */
        free(now.text);
        free(before[i].text);
    }
    for (int64_t i = 0; i < removed; i++) {
        assert_good(
            ledger_sql_number(l, &tombs, "SELECT count(*) FROM removed WHERE clip_id = ?1", "t", x.removed[i].id));
        gone += tombs;
    }
    assert_int_equal(gone, removed);
    check_expired(l);
    changes_clear(&x);
    assert_good(changes_find(l, c, &x)); /* nothing is left to do */
    assert_int_equal(x.added_count + x.changed_count + x.removed_count, 0);
    changes_clear(&x);
}

static void test_updates(void **state)
{
    (void)state;
    Ledger *l = NULL;
    Table t = {.fps = 8};
    int updates = 0;
    folder = fixture_folder();
    state_of_chance = 20261130;
    for (t.count = 0; t.count < 10; t.count++) t.id[t.count] = t.count, t.colour[t.count] = chance(5);
    assert_good(ledger_open(folder, LEDGER_WRITE, &l));
    for (int round = 0; round < ROUNDS; round++) {
        bool pending;
        Campaign *c = load(&t);
        assert_good(ledger_take_plan(l, c, true, 100, &pending));
        assert_int_equal(pending && round == 0, false);
        assert_good(ledger_begin_epoch(l, "host", 1, 101));
        if (pending) update(l, c);
        updates += pending;
        check_ledger(l, c);
        assert_good(ledger_take_plan(l, c, false, 102, &pending)); /* the same again needs no update */
        assert_false(pending);
        let_happen(l);
        campaign_free(&c);
        change(&t);
    }
    assert_in_range(updates, ROUNDS / 2, ROUNDS);
    ledger_close(&l);
    fixture_remove(folder);
}

static void test_what_cannot_be_taken(void **state)
{
    (void)state;
    Ledger *l = NULL;
    Table t = {.count = 8, .id = {0, 1, 2, 3, 4, 5, 6, 7}, .fps = 8};
    bool pending;
    folder = fixture_folder();
    assert_good(ledger_open(folder, LEDGER_WRITE, &l));
    Campaign *c = load(&t);
    assert_good(ledger_adopt(l, c, 100));
    campaign_free(&c);
    for (int i = 0; i < 7; i++) t.colour[i] = 3;
    c = load(&t);
    Status refused = ledger_take_plan(l, c, false, 101, &pending);
    assert_int_equal(refused.err, ERR_INPUT);
    assert_non_null(strstr(refused.message, "7 changed (7 rendered again)"));
    assert_non_null(strstr(refused.message, "changed  a/4: colour, prompt (rendered again)\n  and 2 more"));
    assert_null(strstr(refused.message, "a/5"));
    assert_non_null(strstr(refused.message, "--update"));
    c->model_hash[0] ^= 1;
    assert_refused(ledger_take_plan(l, c, true, 101, &pending), ERR_INPUT, "the model is another one");
    c->model_hash[0] ^= 1;
    c->name[0] = 'd';
    assert_refused(ledger_take_plan(l, c, true, 101, &pending), ERR_INPUT, "holds campaign \"c\"");
    c->name[0] = 'c';
    c->part = (Part){1, 2};
    assert_refused(ledger_take_plan(l, c, true, 101, &pending), ERR_INPUT, "divided into parts");
    campaign_free(&c);
    ledger_close(&l);
    fixture_remove(folder);
}

static int64_t count_of(Ledger *l, const char *state)
{
    int64_t n = -1;
    assert_good(ledger_sql_number(l, &n, "SELECT count(*) FROM clips WHERE state = ?1", "t", state));
    return n;
}

/* A consent that is missing today, and there tomorrow. */
static void test_rows_that_are_refused_and_allowed_again(void **state)
{
    (void)state;
    Ledger *l = NULL;
    Table t = {.count = 3, .id = {0, 1, 2}, .colour = {0, 1, 2}, .fps = 8};
    Changes x;
    folder = fixture_folder();
    assert_good(ledger_open(folder, LEDGER_WRITE, &l));
    Campaign *c = load(&t);
    assert_good(ledger_adopt(l, c, 100));
    assert_good(ledger_begin_epoch(l, "host", 1, 101));
    assert_good(ledger_begin(l, 102));
    assert_good(set_clip(l, 1, CLIP_DELIVERED));
    assert_good(ledger_commit(l));
    const int64_t shot[2] = {c->clip[0].shot, c->clip[1].shot};
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < 2; i++) {
            free(c->clip[i].refusal);
            c->clip[i].refusal = again ? NULL : text_copy("no consent");
            c->clip[i].shot = again ? shot[i] : -1;
        }
        assert_good(ledger_begin(l, 103));
        assert_good(changes_find(l, c, &x));
        assert_false(changes_make_clips(&x));
        assert_true(x.changed_count == x.refusals && x.refusals > 0);
        assert_good(ledger_update(l, c, &x));
        assert_good(ledger_commit(l));
        changes_clear(&x);
        assert_good(ledger_check_counts(l));
        assert_int_equal(count_of(l, "refused"), again ? 0 : 1);
        assert_int_equal(count_of(l, "delivered"), 1); /* what is made already is decided upon elsewhere */
        assert_int_equal(count_of(l, "planned"), again ? 2 : 1);
    }
    campaign_free(&c);
    ledger_close(&l);
    fixture_remove(folder);
}

static int64_t seed_of(Ledger *l, const char *id)
{
    int64_t seed = -1;
    assert_good(ledger_sql_number(
        l, &seed, "SELECT json_extract(spec, '$.seed') FROM clips JOIN specs USING(shot) WHERE clip_id = ?1", "t", id));
    return seed;
}

static void take(Ledger *l, const Campaign *c, int64_t expected)
{
    Changes x;
    assert_good(ledger_begin(l, 110));
    assert_good(changes_find(l, c, &x));
    assert_int_equal(x.changed_count, expected);
    assert_good(ledger_update(l, c, &x));
    assert_good(ledger_commit(l));
    assert_good(ledger_check_counts(l));
    changes_clear(&x);
}

static void test_another_seed_for_one_clip(void **state)
{
    (void)state;
    Ledger *l = NULL;
    Table t = {.count = 3, .id = {0, 1, 2}, .colour = {4, 4, 2}, .fps = 8};
    int64_t changed;
    folder = fixture_folder();
    assert_good(ledger_open(folder, LEDGER_WRITE, &l));
    Campaign *c = load(&t);
    assert_good(ledger_adopt(l, c, 100));
    assert_good(ledger_begin_epoch(l, "host", 1, 101));
    assert_good(ledger_begin(l, 102));
    for (int i = 0; i < 2; i++) assert_good(set_clip(l, i, CLIP_DELIVERED));
    Picture other = look(l, "a/1");
    assert_good(ledger_reseed(l, "a/0", 7, &changed));
    assert_int_equal(changed, 0); /* it has that one */
    assert_good(ledger_reseed(l, "nobody", 8, &changed));
    assert_int_equal(changed, 0);
    assert_good(ledger_reseed(l, "a/0", 99, &changed));
    assert_int_equal(changed, 1);
    assert_good(ledger_commit(l));
    assert_good(ledger_check_counts(l));
    assert_true(seed_of(l, "a/0") == 99 && seed_of(l, "a/1") == 7);
    assert_int_equal(count_of(l, "planned"), 2); /* it, and the third */
    Picture same = look(l, "a/1");
    assert_string_equal(same.text, other.text);
    take(l, c, 0); /* that is no change of the campaign */
    assert_int_equal(seed_of(l, "a/0"), 99);
    campaign_free(&c);
    t.name[0] = 2;
    t.fps = 9; /* finished again: of the same shot, which says so now */
    c = load(&t);
    take(l, c, 3);
    assert_int_equal(seed_of(l, "a/0"), 99);
    is_none(l, "shots with the old rate",
            "SELECT count(*) FROM clips JOIN specs USING(shot) WHERE json_extract(spec, '$.fps') <> 9");
    campaign_free(&c);
    t.colour[0] = 1; /* another picture: the campaign's seed again */
    c = load(&t);
    take(l, c, 1);
    assert_int_equal(seed_of(l, "a/0"), 7);
    is_none(l, "clips with a seed of their own", "SELECT count(*) FROM clips WHERE seed IS NOT NULL");
    campaign_free(&c);
    free(other.text);
    free(same.text);
    ledger_close(&l);
    fixture_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_what_cannot_be_taken),
        cmocka_unit_test(test_rows_that_are_refused_and_allowed_again),
        cmocka_unit_test(test_another_seed_for_one_clip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
