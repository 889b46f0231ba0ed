/* campaigns.c - nights in which several things go wrong at once, drawn from a seed, and what must hold after each:
 * - every row has exactly one final state, and one line in the list;
 * - a shot is rendered once; each attempt goes on from the last sound checkpoint (night_sim.c checks that as it resumes);
 * - a shot is failed only for failures that count, and can be had again by a retry;
 * - files, ledger, list and events agree, and no half file is left;
 * - the clips are, byte for byte, those of a night in which nothing went wrong.
 *
 *     fault_campaigns [--campaigns N] [--seed N] [--tell] */
#include "night.h"

#include <getopt.h>

#include <jansson.h>

#include "common/log.h"
#include "common/provoke.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/dispatch/rules.h"
#include "coordinator/ledger/view.h"

enum { MOST_SHARED = 3 };

static char calm_sum[MOST_SHARED + 1][MOST_ROWS][HASH_TEXT]; /* of the undisturbed night, by rows per shot */

/* ---- leases ---- */

typedef struct {
    Night *night;
    int done[MOST_ROWS], finished[MOST_ROWS], running; /* by shot; by clip */
} LeaseCount;

static Status count_lease(void *self, const LeaseRow *row)
{
    LeaseCount *c = self;
    const bool done = strcmp(row->outcome, "done") == 0;
    if (row->kind == LEASE_RENDER)
        c->done[row->shot] += done;
    else
        c->finished[row->clip] += done;
    if (strcmp(row->outcome, "running") == 0) c->running++;
    return status_ok();
}

/* A shot is rendered once, and once more for each time that its master was damaged or was gone when a clip was tried again. */
static void check_leases(Night *n, const Snapshot *s)
{
    LeaseCount c = {.night = n};
    int rendered = 0;
    NIGHT_GOOD(n, ledger_read_leases(n->ledger, -1, -1, (LeaseSink){count_lease, &c}));
    NIGHT_CHECK(n, c.running == 0, "%d leases still run", c.running);
    for (int i = 0; i < n->campaign->clip_count; i++)
        NIGHT_CHECK(n, c.finished[i] <= 1, "clip %d was finished %d times", i, c.finished[i]);
    for (int i = 0; i < n->campaign->shot_count; i++) {
        NIGHT_CHECK(n, c.done[i] <= 1 + n->again[i], "shot %d: %d done renders, expected at most %d", i, c.done[i],
                    1 + n->again[i]);
        rendered += c.done[i] > 0;
        int workers = 0, times = 0;
        NIGHT_GOOD(n, ledger_failures(n->ledger, LEASE_RENDER, i, &workers, &times));
        NIGHT_CHECK(n, c.done[i] || i == n->poison || times >= RULES_FAILURES, "shot %d is failed after %d failures", i,
                    times);
    }
    NIGHT_CHECK(n, rendered >= s->shot_count[SHOT_DONE], "%d shots rendered, %d done", rendered,
                (int)s->shot_count[SHOT_DONE]);
    NIGHT_CHECK(n, s->shot_count[SHOT_DONE] + s->shot_count[SHOT_FAILED] + s->shot_count[SHOT_HELD] == s->shots,
                "%d of %d shots are at their end",
                (int)(s->shot_count[SHOT_DONE] + s->shot_count[SHOT_FAILED] + s->shot_count[SHOT_HELD]), (int)s->shots);
}

/* ---- clips ---- */

typedef struct {
    Night *night;
    int rows, finished, failed;
} ClipCount;

static Status check_clip(void *self, const ClipRow *row)
{
    ClipCount *c = self;
    Night *n = c->night;
    char sum[HASH_TEXT] = "";
    c->rows++;
    if (strcmp(row->state, "failed") == 0) {
        NIGHT_CHECK(n, row->reason[0], "%s is failed without a reason", row->clip_id);
        c->failed++;
        return status_ok();
    }
    NIGHT_CHECK(n, strcmp(row->state, "approved") == 0 || strcmp(row->state, "delivered") == 0,
                "%s is %s, expected a final state", row->clip_id, row->state);
    c->finished++;
    char *path = path_join(n->folder, row->file);
    NIGHT_GOOD(n, hash_file(path, sum));
    NIGHT_CHECK(n, strcmp(sum, row->sha256) == 0, "%s has not the hash that the ledger has", row->file);
    char *calm = calm_sum[n->rows_per_shot][row->clip];
    if (!calm[0]) memcpy(calm, sum, HASH_TEXT);
    NIGHT_CHECK(n, strcmp(sum, calm) == 0, "%s differs from the undisturbed night's", row->file);
    free(path);
    return status_ok();
}

static void check_ledger(Night *n)
{
    Snapshot s;
    ClipCount c = {.night = n};
    NIGHT_GOOD(n, ledger_open(n->folder, LEDGER_READ, &n->ledger));
    NIGHT_GOOD(n, ledger_read_snapshot(n->ledger, &s));
    NIGHT_GOOD(n, ledger_read_clips(n->ledger, NULL, (ClipSink){check_clip, &c}));
    NIGHT_CHECK(n, s.left == 0 && s.clips == c.rows && c.rows == n->campaign->clip_count, "%d rows, %d left", c.rows,
                (int)s.left);
    NIGHT_CHECK(n, s.finished == c.finished && s.failed == c.failed, "counted %d + %d, the rows say %d + %d",
                (int)s.finished, (int)s.failed, c.finished, c.failed);
    check_leases(n, &s);
    snapshot_clear(&s);
    ledger_close(&n->ledger);
}

/* ---- files ---- */

static int count_lines(Night *n, const char *command)
{
    char *full = text_format("cd '%s' && %s", n->folder, command), line[64] = "";
    FILE *f = popen(full, "r");
    NIGHT_CHECK(n, f && fgets(line, sizeof line, f), "%s gave nothing", command);
    pclose(f);
    free(full);
    return (int)strtol(line, NULL, 10);
}

/* The end of a run is interrupted somewhere: what follows must not care. */
static void disturb_conclusion(Night *n)
{
    static const char *const point[] = {"before.epoch", "after.epoch", "before.deliver", "after.deliver",
                                        "before.close", "after.close", "publish.mp4",    "publish.csv",
                                        "publish.html", "publish.png"};
    char orders[64];
    night_calm();
    if (night_roll(n, 2)) return;
    snprintf(orders, sizeof orders, "at=%s,do=fail.fatal", point[night_roll(n, sizeof point / sizeof *point)]);
    NIGHT_GOOD(n, provoke_order(orders));
    log_set_who("as ordered");
    Status status = conclude(n->folder, 0, status_ok(), true);
    log_set_who("");
    night_tell(n, "the end is disturbed: %s: %s", orders, status.message);
    night_calm();
}

/* Delivers and writes the pages as the end of a run does. */
static void check_files(Night *n, int finished)
{
    disturb_conclusion(n);
    char *list = path_join(n->folder, "delivery.csv"), *copy = path_join(n->folder, "delivery/delivery.csv"),
         a[HASH_TEXT], b[HASH_TEXT];
    Status status = conclude(n->folder, 0, status_ok(), true);
    NIGHT_CHECK(n, status.err == (finished == n->campaign->clip_count ? OK : ERR_CLIP), "conclude: %s", status.message);
    if (finished > 0) {
        NIGHT_GOOD(n, hash_file(list, a));
        NIGHT_GOOD(n, hash_file(copy, b));
        NIGHT_CHECK(n, strcmp(a, b) == 0, "the two lists differ");
        int files = count_lines(n, "ls delivery/clips/*.mp4 | wc -l");
        NIGHT_CHECK(n, files == finished, "%d files delivered, expected %d", files, finished);
    }
    int delivered = count_lines(n, "grep -c ',delivered,' delivery.csv; true");
    NIGHT_CHECK(n, delivered == finished, "%d rows delivered, expected %d", delivered, finished);
    int drafts = count_lines(n, "find . -name '*.draft.*' | wc -l");
    NIGHT_CHECK(n, drafts == 0, "%d drafts are left over", drafts);
    int rest = count_lines(n, "ls -d work masters/* 2>/dev/null | wc -l");
    NIGHT_CHECK(n, rest == 0, "%d masters and folders of leases are left over", rest);
    free(copy);
    free(list);
}

/* Every line is whole; what was told had happened: no clip was finished twice. */
static void check_events(Night *n)
{
    int approved[MOST_ROWS] = {0};
    char *path = path_join(n->folder, "events.jsonl"), line[1 << 12];
    FILE *f = fopen(path, "r");
    NIGHT_CHECK(n, f, "no events");
    while (fgets(line, sizeof line, f)) {
        const char *event = NULL, *clip = NULL;
        json_t *o = json_loads(line, 0, NULL);
        NIGHT_CHECK(n, json_unpack(o, "{s:s,s?s}", "event", &event, "clip", &clip) == 0, "a torn event: %s", line);
        for (int i = 0; i < n->campaign->clip_count; i++)
            if (strcmp(event, "clip.approved") == 0 && strcmp(clip, n->campaign->clip[i].clip_id) == 0) approved[i]++;
        json_decref(o);
    }
    for (int i = 0; i < n->campaign->clip_count; i++)
        NIGHT_CHECK(n, approved[i] <= 1, "clip %d was finished %d times", i, approved[i]);
    fclose(f);
    free(path);
}

static int count_finished(Night *n)
{
    Snapshot s;
    NIGHT_GOOD(n, ledger_open(n->folder, LEDGER_READ, &n->ledger));
    NIGHT_GOOD(n, ledger_read_snapshot(n->ledger, &s));
    int finished = (int)s.finished;
    snapshot_clear(&s);
    ledger_close(&n->ledger);
    return finished;
}

/* ---- nights ---- */

static void calm_night(int rows_per_shot)
{
    Night n;
    night_open(&n, 0, MOST_ROWS, rows_per_shot);
    night_run(&n);
    check_ledger(&n);
    NIGHT_CHECK(&n, n.launches == 1 && count_finished(&n) == MOST_ROWS, "an undisturbed night took %d launches",
                n.launches);
    for (int i = 0; i < n.campaign->shot_count; i++)
        NIGHT_CHECK(&n, n.worked[i] == NIGHT_STEPS, "shot %d took %d steps undisturbed", i, n.worked[i]);
    check_files(&n, MOST_ROWS);
    night_close(&n);
}

static int bad_night(uint64_t seed, bool told)
{
    Night n;
    night_open(&n, seed, 8, 1);
    int rows = 8 + night_roll(&n, MOST_ROWS - 7), shared = 1 + night_roll(&n, MOST_SHARED);
    night_close(&n);
    night_open(&n, seed, rows, shared);
    n.told = told;
    n.strikes_left = 3 + night_roll(&n, 8);
    if (night_roll(&n, 4) == 0) n.poison = night_roll(&n, (int)n.campaign->shot_count);
    night_tell(&n, "%d rows, %d to a shot, %d strikes, poison %d", rows, shared, n.strikes_left, n.poison);
    night_run(&n);
    check_ledger(&n);
    check_events(&n);
    int finished = count_finished(&n);
    check_files(&n, finished);
    if (finished < rows) { /* and once more, with nothing in the way */
        night_tell(&n, "%d of %d failed: again", rows - finished, rows);
        n.strikes_left = 0;
        n.poison = -1;
        for (int i = 0; i < n.campaign->shot_count; i++)
            n.again[i]++; /* of a clip that failed alone the master is gone */
        night_request(&n, "retry");
        night_run(&n);
        check_ledger(&n);
        finished = count_finished(&n);
        NIGHT_CHECK(&n, finished == rows, "%d of %d finished after a retry", finished, rows);
        check_files(&n, rows);
    }
    int launches = n.launches;
    night_close(&n);
    return launches;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"campaigns", required_argument, NULL, 'c'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"tell", no_argument, NULL, 't'},
                                            {0}};
    uint64_t seed = 1;
    long campaigns = 200, launches = 0;
    bool told = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'c') campaigns = strtol(optarg, NULL, 10);
        if (c == 's') seed = strtoull(optarg, NULL, 10);
        if (c == 't') told = true;
        if (c == '?') return 2;
    }
    log_set_level(LOG_ERROR);
    for (int shared = 1; shared <= MOST_SHARED; shared++) calm_night(shared);
    for (long i = 0; i < campaigns; i++) launches += bad_night(seed + (uint64_t)i, told);
    printf("%ld nights from seed %llu, %ld launches: all rows final, no work redone, the same clips\n", campaigns,
           (unsigned long long)seed, launches);
    return 0;
}
