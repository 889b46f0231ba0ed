/* test_ledger.c - what the ledger promises: one campaign, one writer, whole rounds, states by the table. */
#include "ledger_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/moment.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"

enum { PAGE_BYTES = 4096 };

static Snapshot look(Ledger *l)
{
    Snapshot s;
    assert_good(ledger_read_snapshot(l, &s));
    assert_good(ledger_check_counts(l));
    return s;
}

static void check_render_lease(const Lease *l)
{
    ShotSpec spec;
    assert_int_equal(l->kind, LEASE_RENDER);
    assert_int_equal(l->clip_count, 2);
    assert_string_equal(l->clip_id, "row2");
    assert_good(shot_from_json(l->spec, &spec));
    assert_string_equal(spec.prompt, "prompt 1");
    assert_true(l->epoch == 1 && l->steps == 4 && spec.seed == 1);
    shot_clear(&spec);
}

static void test_from_a_render_to_the_last_finish(void **state)
{
    (void)state;
    Fixture f = open_fixture(5, 2);
    int64_t *shot, *clip, count, of;
    bool gone = true;
    Lease lease;
    assert_good(ledger_begin(f.ledger, 102));
    assert_good(ledger_planned_shots(f.ledger, &shot, &count));
    assert_int_equal(count, 3);
    assert_good(ledger_give_render(f.ledger, shot[1], "host:7", &lease));
    assert_good(ledger_commit(f.ledger));
    check_render_lease(&lease);
    LeaseResult r = fixture_render_result(&lease);
    assert_good(ledger_begin(f.ledger, 103));
    assert_good(ledger_take_result(f.ledger, &r, &gone));
    assert_good(ledger_commit(f.ledger));
    assert_false(gone);
    assert_int_equal(ledger_ready_masters(f.ledger), 1);
    Snapshot s = look(f.ledger);
    assert_int_equal(s.clip_count[CLIP_WAITING], 2);
    assert_int_equal(s.shot_count[SHOT_MASTERED], 1);
    assert_int_equal(s.left, 5);
    snapshot_clear(&s);
    assert_good(ledger_begin(f.ledger, 104)); /* the same result again */
    assert_refused(ledger_take_result(f.ledger, &r, &gone), ERR_FATAL, "is not running");
    ledger_rollback(f.ledger);
    lease_result_clear(&r);
    lease_clear(&lease);
    assert_good(ledger_waiting_clips(f.ledger, -1, &clip, &count));
    assert_true(count == 2 && clip[0] == 2 && clip[1] == 3);
    assert_good(ledger_begin(f.ledger, 105));
    assert_good(ledger_give_finish(f.ledger, 2, "host:8", &lease, &of));
    assert_true(of == 1 && lease.kind == LEASE_FINISH && lease.master.bytes == 1000);
    assert_string_equal(lease.stem, "stem2");
    assert_string_equal(lease.master.sha256, lease.key);
    assert_non_null(strstr(lease.finish, "\"preset\":\"fast\""));
    assert_string_equal(lease.clip_finish, "");
    r = fixture_finish_result(&lease);
    assert_good(ledger_take_result(f.ledger, &r, &gone));
    assert_false(gone);
    assert_true(fixture_finish(f.ledger, 3, "host:8")); /* the last of its shot */
    assert_good(ledger_commit(f.ledger));
    s = look(f.ledger);
    assert_int_equal(s.clip_count[CLIP_APPROVED], 2);
    assert_int_equal(s.shot_count[SHOT_DONE], 1);
    snapshot_clear(&s);
    lease_result_clear(&r);
    lease_clear(&lease);
    free(clip);
    free(shot);
    close_fixture(&f);
}

static void test_a_result_of_something_else_changes_nothing(void **state)
{
    (void)state;
    Fixture f = open_fixture(4, 2);
    Lease lease;
    bool gone;
    int64_t shot;
    assert_good(ledger_begin(f.ledger, 102));
    fixture_render(f.ledger, 0, "host:7");
    assert_good(ledger_give_finish(f.ledger, 1, "host:7", &lease, &shot));
    LeaseResult r = fixture_finish_result(&lease);
    r.clip.clip_id[3] = '3';
    assert_refused(ledger_take_result(f.ledger, &r, &gone), ERR_RETRY, "\"row3\", which was not ordered");
    r.kind = LEASE_RENDER;
    assert_refused(ledger_take_result(f.ledger, &r, &gone), ERR_RETRY, "of a render, expected one of a finish");
    assert_good(ledger_commit(f.ledger));
    Snapshot s = look(f.ledger);
    assert_int_equal(s.clip_count[CLIP_WAITING], 1);
    assert_int_equal(s.clip_count[CLIP_FINISHING], 1);
    snapshot_clear(&s);
    lease_result_clear(&r);
    lease_clear(&lease);
    close_fixture(&f);
}

/* A clip that fails at its finish fails alone; a shot's failure takes its clips. Attempts are counted apart. */
static void test_a_finish_that_fails_is_its_clip_s(void **state)
{
    (void)state;
    Fixture f = open_fixture(3, 3);
    int workers, times;
    bool gone, yes;
    assert_good(ledger_begin(f.ledger, 102));
    fixture_fail(f.ledger, LEASE_RENDER, 0, "a:1", LEASE_FAILED);
    fixture_render(f.ledger, 0, "b:2");
    fixture_fail(f.ledger, LEASE_FINISH, 1, "a:1", LEASE_LOST);
    fixture_fail(f.ledger, LEASE_FINISH, 1, "c:3", LEASE_FAILED);
    assert_good(ledger_failures(f.ledger, LEASE_RENDER, 0, &workers, &times));
    assert_true(workers == 1 && times == 1);
    assert_good(ledger_failures(f.ledger, LEASE_FINISH, 1, &workers, &times));
    assert_true(workers == 2 && times == 2);
    assert_good(ledger_failures(f.ledger, LEASE_FINISH, 0, &workers, &times));
    assert_int_equal(times, 0);
    assert_good(ledger_has_failed(f.ledger, LEASE_FINISH, 1, "c:3", &yes));
    assert_true(yes);
    assert_good(ledger_has_failed(f.ledger, LEASE_RENDER, 0, "c:3", &yes));
    assert_false(yes);
    assert_good(ledger_give_up(f.ledger, LEASE_FINISH, 1, "no font has this glyph", &gone));
    assert_false(gone);
    fixture_finish(f.ledger, 0, "a:1");
    assert_true(fixture_finish(f.ledger, 2, "a:1")); /* the failed one is not waited for */
    assert_good(ledger_commit(f.ledger));
    Snapshot s = look(f.ledger);
    assert_true(s.finished == 2 && s.failed == 1 && s.left == 0 && s.shot_count[SHOT_DONE] == 1);
    snapshot_clear(&s);
    int64_t changed, *shot, count;
    LedgerRequest retry = {.id = 1, .verb = "retry", .clip_id = "row1"};
    assert_good(ledger_begin(f.ledger, 103));
    assert_good(ledger_apply_request(f.ledger, &retry, &changed));
    assert_int_equal(changed, 1);
    assert_good(ledger_planned_shots(f.ledger, &shot, &count)); /* its master is gone: it is rendered again */
    assert_true(count == 1 && shot[0] == 0);
    fixture_render(f.ledger, 0, "b:2");
    assert_good(ledger_failures(f.ledger, LEASE_FINISH, 1, &workers, &times));
    assert_int_equal(times, 0);
    assert_true(fixture_finish(f.ledger, 1, "a:1"));
    assert_good(ledger_commit(f.ledger));
    s = look(f.ledger);
    assert_true(s.finished == 3 && s.failed == 0);
    snapshot_clear(&s);
    free(shot);
    close_fixture(&f);
}

static void test_a_lost_master_is_made_again(void **state)
{
    (void)state;
    Fixture f = open_fixture(3, 3);
    Lease lease;
    int64_t shot, *clip, count;
    bool gone;
    assert_good(ledger_begin(f.ledger, 102));
    fixture_render(f.ledger, 0, "a:1");
    fixture_finish(f.ledger, 0, "a:1");
    assert_good(ledger_give_finish(f.ledger, 1, "a:1", &lease, &shot));
    assert_good(ledger_lose_master(f.ledger, 0));
    assert_false(ledger_has_master(f.ledger, 0));
    assert_good(ledger_waiting_clips(f.ledger, -1, &clip, &count));
    assert_int_equal(count, 0);
    free(clip);
    LeaseResult r = fixture_finish_result(&lease); /* it had read enough of it */
    assert_good(ledger_take_result(f.ledger, &r, &gone));
    assert_false(gone);
    assert_good(ledger_commit(f.ledger));
    Snapshot s = look(f.ledger);
    assert_true(s.shot_count[SHOT_PLANNED] == 1 && s.clip_count[CLIP_PLANNED] == 1 && s.finished == 2);
    snapshot_clear(&s);
    assert_good(ledger_begin(f.ledger, 103));
    fixture_render(f.ledger, 0, "a:1");
    assert_true(fixture_finish(f.ledger, 2, "a:1"));
    assert_good(ledger_commit(f.ledger));
    lease_result_clear(&r);
    lease_clear(&lease);
    close_fixture(&f);
}

/* The next epoch finds what the last one left: a shot in work, a clip in work, and one whose master was lost meanwhile. */
static void test_both_kinds_are_taken_back(void **state)
{
    (void)state;
    Fixture f = open_fixture(6, 2);
    Lease lease;
    int64_t shot;
    assert_good(ledger_begin(f.ledger, 102));
    for (int i = 0; i < 2; i++) {
        fixture_render(f.ledger, i, "a:1");
        assert_good(ledger_give_finish(f.ledger, 2 * i, "a:1", &lease, &shot));
        lease_clear(&lease);
    }
    assert_good(ledger_lose_master(f.ledger, 1));
    assert_good(ledger_give_render(f.ledger, 2, "a:1", &lease));
    lease_clear(&lease);
    assert_good(ledger_commit(f.ledger));
    assert_good(ledger_begin_epoch(f.ledger, "host", 2, 103));
    Snapshot s = look(f.ledger);
    assert_true(s.shot_count[SHOT_MASTERED] == 1 && s.shot_count[SHOT_PLANNED] == 2);
    assert_true(s.clip_count[CLIP_WAITING] == 2 && s.clip_count[CLIP_PLANNED] == 4);
    snapshot_clear(&s);
    assert_int_equal(ledger_ready_masters(f.ledger), 1);
    assert_good(ledger_begin(f.ledger, 104));
    assert_false(fixture_finish(f.ledger, 0, "a:1"));
    assert_true(fixture_finish(f.ledger, 1, "a:1"));
    assert_good(ledger_commit(f.ledger));
    close_fixture(&f);
}

static void test_another_campaign_is_refused(void **state)
{
    (void)state;
    Fixture f = open_fixture(2, 1);
    Campaign *other = fixture_campaign("winter", 2, 1);
    Status s = ledger_adopt(f.ledger, other, 200);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "\"summer\""));
    assert_non_null(strstr(s.message, "\"winter\""));
    assert_good(ledger_adopt(f.ledger, f.campaign, 201));
    Snapshot now = look(f.ledger);
    assert_string_equal(now.name, "summer");
    snapshot_clear(&now);
    fixture_campaign_free(other);
    close_fixture(&f);
}

static void test_an_old_epoch_is_fenced(void **state)
{
    (void)state;
    Fixture f = open_fixture(2, 1);
    Ledger *newer;
    Lease lease;
    assert_good(ledger_begin(f.ledger, 102));
    assert_good(ledger_give_render(f.ledger, 0, "host:7", &lease));
    assert_good(ledger_commit(f.ledger));
    lease_clear(&lease);
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &newer));
    assert_refused(ledger_begin(newer, 103), ERR_FATAL, "fenced"); /* without an epoch nothing can be written either */
    assert_good(ledger_begin_epoch(newer, "other", 2, 103));
    assert_int_equal(ledger_epoch(newer), 2);
    assert_refused(ledger_begin(f.ledger, 104), ERR_FATAL, "epoch 2 writes it now, this is epoch 1");
    Snapshot s = look(newer); /* what the old one had in flight was taken back */
    assert_int_equal(s.shot_count[SHOT_PLANNED], 2);
    assert_int_equal(s.clip_count[CLIP_PLANNED], 2);
    snapshot_clear(&s);
    int workers, times;
    assert_good(ledger_failures(newer, LEASE_RENDER, 0, &workers, &times));
    assert_int_equal(times, 0); /* and counts as no failure */
    ledger_close(&newer);
    close_fixture(&f);
}

static void test_states_change_by_the_table_only(void **state)
{
    (void)state;
    static const int shots_allowed[SHOT_STATES] = {[SHOT_PLANNED] = 3, [SHOT_LEASED] = 2, [SHOT_MASTERED] = 2,
                                                   [SHOT_DONE] = 1,    [SHOT_FAILED] = 1, [SHOT_HELD] = 1};
    for (int from = 0; from < SHOT_STATES; from++) {
        int allowed = 0;
        for (int event = 0; event < EV_COUNT; event++) {
            ShotState to;
            Status s = ledger_next_shot_state((ShotState)from, (LedgerEvent)event, &to);
            if (failed(s)) assert_int_equal(s.err, ERR_FATAL);
            allowed += !failed(s);
        }
        assert_int_equal(allowed, shots_allowed[from]);
    }
    ClipState to;
    assert_refused(ledger_next_clip_state(CLIP_REFUSED, EV_LEASE, &to), ERR_FATAL,
                   "a clip that is refused cannot have");
    assert_refused(ledger_next_clip_state(CLIP_PLANNED, EV_DONE, &to), ERR_FATAL, "\"done\"");
    assert_refused(ledger_next_clip_state(CLIP_DELIVERED, EV_LOST, &to), ERR_FATAL, "delivered");
    Fixture f = open_fixture(2, 1);
    Lease lease;
    assert_good(ledger_begin(f.ledger, 102));
    assert_good(ledger_give_render(f.ledger, 0, "host:7", &lease));
    lease_clear(&lease);
    assert_refused(ledger_give_render(f.ledger, 0, "host:8", &lease), ERR_FATAL, "a shot that is leased");
    ledger_rollback(f.ledger);
    close_fixture(&f);
}

static void test_failures_retry_and_rollback(void **state)
{
    (void)state;
    Fixture f = open_fixture(2, 2);
    static const char *const who[] = {"a:1", "b:2", "a:1"};
    int workers, times;
    int64_t count;
    bool yes, gone;
    assert_good(ledger_begin(f.ledger, 102));
    for (int i = 0; i < 3; i++) fixture_fail(f.ledger, LEASE_RENDER, 0, who[i], i ? LEASE_FAILED : LEASE_LOST);
    assert_good(ledger_failures(f.ledger, LEASE_RENDER, 0, &workers, &times));
    assert_int_equal(workers, 2);
    assert_int_equal(times, 3);
    assert_good(ledger_has_failed(f.ledger, LEASE_RENDER, 0, "b:2", &yes));
    assert_true(yes);
    assert_good(ledger_give_up(f.ledger, LEASE_RENDER, 0, "no luck at all", &gone));
    assert_good(ledger_commit(f.ledger));
    Snapshot s = look(f.ledger);
    assert_int_equal(s.failed, 2);
    assert_int_equal(s.left, 0);
    snapshot_clear(&s);
    LedgerRequest all = {.id = 1, .verb = "retry", .clip_id = ""}, one = {.id = 2, .verb = "retry", .clip_id = "row1"};
    assert_good(ledger_begin(f.ledger, 103));
    assert_good(ledger_apply_request(f.ledger, &all, &count));
    assert_int_equal(count, 2);
    ledger_rollback(f.ledger);
    s = look(f.ledger);
    assert_int_equal(s.failed, 2); /* a round that is not committed has not happened */
    snapshot_clear(&s);
    assert_good(ledger_begin(f.ledger, 104));
    assert_good(ledger_apply_request(f.ledger, &one, &count));
    assert_int_equal(count, 2); /* row0 failed by the same render */
    assert_good(ledger_failures(f.ledger, LEASE_RENDER, 0, &workers, &times));
    assert_int_equal(times, 0);
    assert_good(ledger_commit(f.ledger));
    close_fixture(&f);
}

static void test_what_is_no_ledger_is_refused(void **state)
{
    (void)state;
    char *folder = fixture_folder();
    char *file = path_join(folder, "ledger.db");
    Ledger *l;
    assert_refused(ledger_open(folder, LEDGER_READ, &l), ERR_INPUT, "no ledger there");
    assert_null(l);
    assert_good(file_replace(file, "this is not a database, whatever its name says", 46));
    assert_refused(ledger_open(folder, LEDGER_WRITE, &l), ERR_INPUT, "expected a ledger");
    assert_int_equal(unlink(file), 0);
    assert_good(ledger_open(folder, LEDGER_WRITE, &l));
    Snapshot s;
    assert_refused(ledger_read_snapshot(l, &s), ERR_INPUT, "no campaign");
    ledger_close(&l);
    assert_refused(ledger_open("/nowhere/at/all", LEDGER_READ, &l), ERR_INPUT, "expected a campaign folder");
    free(file);
    fixture_remove(folder);
}

static Status count_row(void *self, const ClipRow *row)
{
    int *seen = self;
    assert_int_equal(row->clip, *seen);
    assert_non_null(strstr(row->customer, "Jürgen, \\\""));
    assert_int_equal(row->sharers, 2);
    ++*seen;
    return status_ok();
}

static void test_rows_come_in_the_customers_order(void **state)
{
    (void)state;
    Fixture f = open_fixture(6, 2);
    int seen = 0;
    char *columns;
    assert_good(ledger_read_clips(f.ledger, NULL, (ClipSink){count_row, &seen}));
    assert_int_equal(seen, 6);
    assert_good(ledger_read_columns(f.ledger, &columns));
    assert_string_equal(columns, "[\"id\",\"na\\\"me\"]");
    free(columns);
    close_fixture(&f);
}

static void test_requests_wait_for_the_coordinator(void **state)
{
    (void)state;
    Fixture f = open_fixture(2, 1);
    Ledger *verb;
    LedgerRequest r;
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &verb));
    assert_good(ledger_request(verb, &(LedgerRequest){.verb = "retry", .clip_id = "row1"}, 105));
    ledger_close(&verb);
    assert_good(ledger_next_request(f.ledger, &r));
    assert_string_equal(r.verb, "retry");
    assert_string_equal(r.clip_id, "row1");
    assert_good(ledger_begin(f.ledger, 106));
    int64_t count;
    assert_good(ledger_apply_request(f.ledger, &r, &count));
    assert_good(ledger_commit(f.ledger));
    ledger_request_clear(&r);
    assert_good(ledger_next_request(f.ledger, &r));
    assert_int_equal(r.id, 0);
    close_fixture(&f);
}

/* A launcher that was left behind, and everything that it starts, writes nothing after its successor came. */
static void test_launches(void **state)
{
    Fixture f = open_fixture(4, 1);
    Ledger *old, *new;
    int64_t launch;
    bool successor;
    Launcher first = {"n1", 1, "77", 0}, second = {"n2", 2, "77", 1}, other = {"n3", 3, "", 0};
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &old));
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &new));
    assert_good(ledger_begin_launch(old, &first, 200, &launch));
    assert_int_equal(launch, 1);
    assert_good(ledger_begin_epoch(old, "n1", 1, 201));
    assert_good(ledger_is_successor(new, &second, &successor));
    assert_true(successor);
    assert_good(ledger_is_successor(new, &other, &successor));
    assert_false(successor);
    assert_good(ledger_begin_launch(new, &second, 202, &launch));
    assert_int_equal(launch, 2);

    /* its coordinator, although no new epoch was taken; its next job's; itself, waking up before it claimed anything */
    assert_int_equal(ledger_begin(old, 203).err, ERR_FATAL);
    Status fenced = ledger_begin_epoch(old, "n1", 1, 204);
    assert_int_equal(fenced.err, ERR_FATAL);
    assert_non_null(strstr(fenced.message, "process 2 on n2"));
    assert_int_equal(ledger_begin_launch(old, &first, 205, &launch).err, ERR_FATAL);
    assert_int_equal(ledger_check_launch(old).err, ERR_FATAL);

    assert_good(ledger_begin_epoch(new, "n2", 2, 206));
    assert_good(ledger_begin(new, 207));
    assert_good(ledger_commit(new));
    assert_good(ledger_begin_launch(old, &other, 208, &launch)); /* somebody by hand: the latest has it */
    assert_int_equal(ledger_begin(new, 209).err, ERR_FATAL);
    ledger_close(&old);
    ledger_close(&new);
    close_fixture(&f);
    (void)state;
}

/* ---- the write-ahead log: bounded, also after somebody read for long ---- */

static int64_t log_bytes(const Fixture *f)
{
    int64_t bytes = 0;
    char *log = path_join(f->folder, "ledger.db-wal");
    assert_good(file_size(log, &bytes));
    free(log);
    return bytes;
}

static void write_rounds(Fixture *f, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        WorkerLine w = {.rank = i % 50, .host = "h", .state = "working", .stage = "denoise", .clip = "c", .done = i};
        assert_good(ledger_begin(f->ledger, 200 + i));
        assert_good(ledger_note_worker(f->ledger, &w));
        assert_good(ledger_note_alive(f->ledger));
        assert_good(ledger_commit(f->ledger));
    }
}

static Status write_meanwhile(void *self, const ClipRow *row)
{
    if (row->clip == 0) write_rounds(self, 6000); /* the first of several rows: the reader is not done */
    return status_ok();
}

static void test_the_log_stays_bounded(void **state)
{
    (void)state;
    Fixture f = open_fixture(5, 1);
    Ledger *reader;
    const int64_t page = 4096 + 24, checkpoint = 4096 * page; /* where the writer moves the log into the file */
    write_rounds(&f, 6000);
    assert_in_range(log_bytes(&f), 1, checkpoint + 100 * page);
    assert_good(ledger_open(f.folder, LEDGER_READ, &reader));
    assert_good(ledger_read_clips(reader, NULL, (ClipSink){write_meanwhile, &f})); /* holds the log back: it grows */
    ledger_close(&reader);
    int64_t grown = log_bytes(&f);
    assert_true(grown > checkpoint + 100 * page);
    write_rounds(&f, 6000); /* and then it is used from its beginning again */
    assert_true(log_bytes(&f) <= grown + 100 * page);
    close_fixture(&f);
}

/* On a network file system there is no WAL: a reader and a writer get along by locks, and the fence holds. */
static void test_without_shared_memory(void **state)
{
    assert_int_equal(setenv("REELWRIGHT_JOURNAL", "rollback", 1), 0);
    Fixture f = open_fixture(4, 1);
    Ledger *reader;
    Lease lease;
    char *wal = path_join(f.folder, "ledger.db-wal");
    assert_good(ledger_begin(f.ledger, 102));
    assert_good(ledger_give_render(f.ledger, 0, "host:7", &lease));
    assert_good(ledger_open(f.folder, LEDGER_READ, &reader));
    Snapshot s = look(reader);
    assert_int_equal(s.shot_count[SHOT_LEASED], 0); /* not committed */
    snapshot_clear(&s);
    assert_good(ledger_commit(f.ledger));
    s = look(reader);
    assert_int_equal(s.shot_count[SHOT_LEASED], 1);
    snapshot_clear(&s);
    assert_false(file_exists(wal));
    lease_clear(&lease);
    ledger_close(&reader);
    free(wal);
    close_fixture(&f);
    test_launches(state);
    test_an_old_epoch_is_fenced(state);
    assert_int_equal(unsetenv("REELWRIGHT_JOURNAL"), 0);
}

/* ---- after a kill, and where nothing can be written ---- */

/* A process that dies in the middle of a transaction, with a part of it in the file already. */
static void die_writing(const char *folder)
{
    pid_t child = fork();
    if (child == 0) {
        Ledger *l;
        if (failed(ledger_open(folder, LEDGER_WRITE, &l))) _exit(1);
        if (failed(ledger_db_exec(l,
                                  "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;"
                                  "UPDATE clips SET reason = hex(zeroblob(9000));",
                                  "test")))
            _exit(2);
        _exit(0); /* without closing */
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void reads_well(const char *folder, int64_t clips)
{
    Ledger *l;
    assert_good(ledger_open(folder, LEDGER_READ, &l));
    Snapshot s = look(l);
    assert_int_equal(s.clips, clips);
    snapshot_clear(&s);
    assert_good(ledger_check_counts(l));
    ledger_close(&l);
}

static void test_a_hot_journal_is_taken_back_by_a_reader(void **state)
{
    (void)state;
    for (int wal = 0; wal < 2; wal++) {
        assert_int_equal(setenv("REELWRIGHT_JOURNAL", wal ? "wal" : "rollback", 1), 0);
        Fixture f = open_fixture(40, 1);
        char *journal = path_join(f.folder, wal ? "ledger.db-wal" : "ledger.db-journal");
        ledger_close(&f.ledger);
        die_writing(f.folder);
        int64_t bytes = 0;
        assert_good(file_size(journal, &bytes));
        assert_true(bytes > 0); /* it is hot */
        reads_well(f.folder, 40);
        assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger));
        assert_int_equal(unsetenv("REELWRIGHT_JOURNAL"), 0);
        free(journal);
        close_fixture(&f);
    }
}

/* Permissions mean nothing to root, who therefore reads as nobody. */
static void as_a_colleague(const char *folder)
{
    pid_t child = fork();
    if (child == 0) {
        Ledger *l = NULL;
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(9);
        Status status = ledger_open(folder, LEDGER_READ, &l);
        if (failed(status)) fprintf(stderr, "%s\n", status.message);
        ledger_close(&l);
        _exit(failed(status));
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void test_a_colleague_reads_what_he_cannot_write(void **state)
{
    (void)state;
    Fixture f = open_fixture(4, 1);
    char *strange = text_format("%s?a#b%%41", f.folder), *file = path_join(strange, "ledger.db");
    ledger_close(&f.ledger);
    ledger_settle(f.folder);
    assert_int_equal(rename(f.folder, strange), 0);
    assert_int_equal(chmod(strange, 0555), 0);
    assert_int_equal(chmod(file, 0444), 0);
    as_a_colleague(strange);
    assert_int_equal(chmod(strange, 0700), 0);
    assert_int_equal(rename(strange, f.folder), 0);
    free(strange);
    free(file);
    close_fixture(&f);
}

static int64_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

/* Made whole, for its owner alone, in the mode of its journal that it keeps. */
static void test_the_journal_is_decided_once(void **state)
{
    (void)state;
    assert_int_equal(setenv("REELWRIGHT_JOURNAL", "rollback", 1), 0);
    Fixture f = open_fixture(4, 1);
    char *file = path_join(f.folder, "ledger.db"), *wal = path_join(f.folder, "ledger.db-wal");
    assert_int_equal(unsetenv("REELWRIGHT_JOURNAL"), 0);
    ledger_close(&f.ledger);
    assert_int_equal(mode_of(file), 0600);
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger)); /* by somebody whose file system could do a WAL */
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 102));
    assert_good(ledger_begin(f.ledger, 102));
    assert_good(ledger_commit(f.ledger));
    assert_false(file_exists(wal));
    free(file);
    free(wal);
    close_fixture(&f);
}

/* A reader that takes longer than anybody should: the commit comes late, and it comes. */
static void test_a_long_reader_delays_a_commit(void **state)
{
    (void)state;
    assert_int_equal(setenv("REELWRIGHT_JOURNAL", "rollback", 1), 0);
    Fixture f = open_fixture(4, 1);
    assert_int_equal(unsetenv("REELWRIGHT_JOURNAL"), 0);
    pid_t child = fork();
    if (child == 0) {
        Ledger *l;
        if (failed(ledger_open(f.folder, LEDGER_READ, &l))) _exit(1);
        if (failed(ledger_db_exec(l, "BEGIN; SELECT count(*) FROM clips", "test"))) _exit(2);
        moment_sleep_ms(11500); /* longer than the ten seconds that used to end the coordinator */
        _exit(0);
    }
    moment_sleep_ms(300);
    assert_good(ledger_begin(f.ledger, 102));
    assert_good(ledger_note_alive(f.ledger));
    int64_t began_ms = moment_ms();
    assert_good(ledger_commit(f.ledger));
    assert_true(moment_ms() - began_ms > 9000);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    close_fixture(&f);
}

/* A launch that was refused or taken over changes nothing: neither limits nor priority nor the pilot. */
static void test_only_the_owner_adopts(void **state)
{
    (void)state;
    Fixture f = open_fixture(4, 1);
    Launcher first = {.host = "a", .pid = 1, .job = ""}, second = {.host = "b", .pid = 2, .job = ""};
    Ledger *old;
    int64_t launch;
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &old));
    assert_good(ledger_begin_launch(old, &first, 101, &launch));
    assert_good(ledger_begin_launch(f.ledger, &second, 102, &launch));
    f.campaign->settings.priority = 7;
    f.campaign->settings.pilot = 2;
    assert_refused(ledger_adopt(old, f.campaign, 103), ERR_FATAL, "fenced");
    Snapshot s = look(f.ledger);
    assert_int_equal(s.priority, 0);
    assert_int_equal(s.pilot, PILOT_NONE);
    snapshot_clear(&s);
    assert_good(ledger_adopt(f.ledger, f.campaign, 104));
    s = look(f.ledger);
    assert_int_equal(s.priority, 7);
    assert_int_equal(s.pilot, PILOT_OPEN);
    snapshot_clear(&s);
    ledger_close(&old);
    close_fixture(&f);
}

/* "06:00" of a campaign that goes on the next evening is the next morning, not the one that is over. */
static void test_a_time_of_day_is_the_next_one(void **state)
{
    (void)state;
    const double evening_s = 1767290400, day_s = 86400; /* 2026-01-01 18:00 UTC */
    Fixture f = open_fixture(4, 1);
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
    snprintf(f.campaign->settings.deadline, DEADLINE_BYTES, "06:00");
    assert_good(ledger_adopt(f.ledger, f.campaign, evening_s));
    Snapshot s = look(f.ledger);
    const double first_s = s.deadline_s;
    assert_true(first_s == evening_s + day_s / 2);
    snapshot_clear(&s);
    assert_good(ledger_adopt(f.ledger, f.campaign, evening_s + 3600)); /* the same night: it stays */
    s = look(f.ledger);
    assert_true(s.deadline_s == first_s);
    snapshot_clear(&s);
    assert_good(ledger_adopt(f.ledger, f.campaign, evening_s + day_s));
    s = look(f.ledger);
    assert_true(s.deadline_s == first_s + day_s);
    snapshot_clear(&s);
    close_fixture(&f);
}

static void zero_page(const char *file, long page)
{
    static const unsigned char zeros[PAGE_BYTES];
    FILE *f = fopen(file, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, page * PAGE_BYTES, SEEK_SET), 0);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, f), sizeof zeros);
    assert_int_equal(fclose(f), 0);
}

static void copy_file(const char *from, const char *to)
{
    static unsigned char bytes[4 << 20];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_true(in && out);
    const size_t n = fread(bytes, 1, sizeof bytes, in);
    assert_true(n > 0 && n < sizeof bytes);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(in) + fclose(out), 0);
}

/* Whichever page a disk has lost, also one that no statement of this campaign would read: it is named before anything starts. */
static void test_every_lost_page_is_named(void **state)
{
    (void)state;
    Fixture f = open_fixture(40, 2);
    char *file = path_join(f.folder, "ledger.db"), *whole = path_join(f.folder, "whole");
    int64_t bytes = 0;
    ledger_close(&f.ledger); /* moves the WAL into the file */
    assert_good(file_size(file, &bytes));
    copy_file(file, whole);
    assert_true(bytes / PAGE_BYTES > 20);
    for (long page = 0; page < bytes / PAGE_BYTES; page++) {
        copy_file(whole, file);
        zero_page(file, page);
        Status status = ledger_open(f.folder, LEDGER_WRITE, &f.ledger);
        if (!failed(status)) status = ledger_check_pages(f.ledger);
        assert_refused(status, ERR_INPUT, page == 0 ? "expected a ledger" : "the ledger is damaged");
        ledger_close(&f.ledger);
    }
    copy_file(whole, file);
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_check_pages(f.ledger));
    free(file);
    free(whole);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hot_journal_is_taken_back_by_a_reader),
        cmocka_unit_test(test_a_colleague_reads_what_he_cannot_write),
        cmocka_unit_test(test_the_journal_is_decided_once),
        cmocka_unit_test(test_a_long_reader_delays_a_commit),
        cmocka_unit_test(test_only_the_owner_adopts),
        cmocka_unit_test(test_a_time_of_day_is_the_next_one),
        cmocka_unit_test(test_from_a_render_to_the_last_finish),
        cmocka_unit_test(test_a_result_of_something_else_changes_nothing),
        cmocka_unit_test(test_a_finish_that_fails_is_its_clip_s),
        cmocka_unit_test(test_a_lost_master_is_made_again),
        cmocka_unit_test(test_both_kinds_are_taken_back),
        cmocka_unit_test(test_another_campaign_is_refused),
        cmocka_unit_test(test_an_old_epoch_is_fenced),
        cmocka_unit_test(test_launches),
        cmocka_unit_test(test_without_shared_memory),
        cmocka_unit_test(test_states_change_by_the_table_only),
        cmocka_unit_test(test_failures_retry_and_rollback),
        cmocka_unit_test(test_what_is_no_ledger_is_refused),
        cmocka_unit_test(test_rows_come_in_the_customers_order),
        cmocka_unit_test(test_requests_wait_for_the_coordinator),
        cmocka_unit_test(test_the_log_stays_bounded),
        cmocka_unit_test(test_every_lost_page_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
