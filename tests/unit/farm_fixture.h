/* farm_fixture.h - a campaign made by hand, in an empty folder: rows_per_shot rows share each shot. */
#ifndef REELWRIGHT_TESTS_FARM_FIXTURE_H
#define REELWRIGHT_TESTS_FARM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "coordinator/ledger/ledger.h"
#include "coordinator/ledger/view.h"

static inline char *fixture_folder(void)
{
    /* in memory where there is such a place: these tests commit some ten thousand times, each with its fsync */
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char *folder = text_format("%s/reelwright-farm-XXXXXX", place);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static inline void fixture_remove(char *folder)
{
    char *command = text_format("rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
    free(command);
    free(folder);
}

static inline Campaign *fixture_campaign(const char *name, int rows, int rows_per_shot)
{
    Campaign *c = memory_get(1, sizeof *c);
    c->file = text_format("%s.yaml", name);
    c->name = text_copy(name);
    c->folder = text_copy(".");
    c->model_folder = text_copy("/nowhere/model");
    memset(c->model_hash, 'e', HASH_TEXT - 1);
    hash_bytes(name, strlen(name), c->fingerprint);
    c->settings.max_fails.count = -1;
    c->rendition_count = 1;
    c->rendition[0] = (Rendition){.name = "reels", .width = 72, .height = 128, .crf = 20, .preset = "fast"};
    json_t *finish = json_object();
    json_object_set_new(finish, "renditions", finish_spec_renditions(c->rendition, 1));
    c->finish = finish_spec_text(finish);
    c->customers.column_count = 2;
    c->customers.column = memory_get(2, sizeof(char *));
    c->customers.column[0] = text_copy("id");
    c->customers.column[1] = text_copy("na\"me");
    c->customers.row_count = c->clip_count = rows;
    c->customers.value = memory_get(2 * (size_t)rows, sizeof(char *));
    c->clip = memory_get((size_t)rows, sizeof *c->clip);
    c->shot_count = (rows + rows_per_shot - 1) / rows_per_shot;
    c->shot = memory_get((size_t)c->shot_count, sizeof *c->shot);
    for (int i = 0; i < rows; i++) {
        c->customers.value[2 * i] = text_format("row%d", i);
        c->customers.value[2 * i + 1] = text_format("Jürgen, \"%d\"\nzwei", i);
        c->clip[i] = (PlannedClip){
            .clip_id = c->customers.value[2 * i], .stem = text_format("stem%d", i), .shot = i / rows_per_shot};
    }
    for (int i = 0; i < c->shot_count; i++) {
        c->shot[i].spec = (ShotSpec){.prompt = text_format("prompt %d", i),
                                     .negative = text_copy(""),
                                     .seed = (uint64_t)i,
                                     .width = 64,
                                     .height = 112,
                                     .frames = 5,
                                     .fps = 8,
                                     .steps = 4,
                                     .guidance = 4,
                                     .flow_shift = 3,
                                     .scheduler = "unipc"};
        shot_key(&c->shot[i].spec, c->model_hash, c->shot[i].key);
    }
    return c;
}

static inline void fixture_campaign_free(Campaign *c)
{
    for (int i = 0; i < c->clip_count; i++) {
        free(c->customers.value[2 * i]);
        free(c->customers.value[2 * i + 1]);
        free(c->clip[i].stem);
    }
    for (int i = 0; i < c->shot_count; i++) shot_clear(&c->shot[i].spec);
    free(c->customers.column[0]);
    free(c->customers.column[1]);
    free(c->customers.column);
    free(c->customers.value);
    free(c->clip);
    free(c->shot);
    free(c->file);
    free(c->name);
    free(c->folder);
    free(c->finish);
    free(c->model_folder);
    free(c);
}

#define assert_good(expr)                                                                                              \
    do {                                                                                                               \
        Status good_ = (expr);                                                                                         \
        if (failed(good_)) fail_msg("%s: %s", #expr, good_.message);                                                   \
    } while (0)

#define assert_refused(expr, class, text)                                                                              \
    do {                                                                                                               \
        Status refused_ = (expr);                                                                                      \
        assert_int_equal(refused_.err, class);                                                                         \
        if (!strstr(refused_.message, text)) fail_msg("expected \"%s\" in: %s", text, refused_.message);               \
    } while (0)

static inline LeaseResult fixture_render_result(const Lease *l)
{
    LeaseResult r = {.kind = LEASE_RENDER,
                     .lease = l->lease,
                     .epoch = l->epoch,
                     .reason = text_copy(""),
                     .denoise_s = 2,
                     .steps_done = l->steps,
                     .master.bytes = 1000};
    memcpy(r.key, l->key, HASH_TEXT);
    memcpy(r.master.sha256, l->key, HASH_TEXT);
    return r;
}

static inline LeaseResult fixture_finish_result(const Lease *l)
{
    LeaseResult r = {
        .kind = LEASE_FINISH, .lease = l->lease, .epoch = l->epoch, .reason = text_copy(""), .finish_s = 1};
    memcpy(r.key, l->key, HASH_TEXT);
    r.clip = (ClipResult){.clip_id = text_copy(l->clip_id),
                          .file = text_format("clips/%s.mp4", l->stem),
                          .thumbnail = text_copy(""),
                          .sheet = text_copy(""),
                          .document = text_copy("{}"),
                          .duration_s = 4.125,
                          .width = 72,
                          .height = 128};
    hash_bytes(r.clip.file, strlen(r.clip.file), r.clip.sha256);
    return r;
}

/* Within a round: the shot gets its master, or the clip is finished. True: nothing is left of its shot. */
static inline bool fixture_render(Ledger *l, int64_t shot, const char *worker)
{
    Lease lease;
    bool gone;
    assert_good(ledger_give_render(l, shot, worker, &lease));
    assert_true(lease.lease > 0);
    LeaseResult r = fixture_render_result(&lease);
    assert_good(ledger_take_result(l, &r, &gone));
    lease_result_clear(&r);
    lease_clear(&lease);
    return gone;
}

static inline bool fixture_finish(Ledger *l, int64_t clip, const char *worker)
{
    Lease lease;
    bool gone;
    int64_t shot;
    assert_good(ledger_give_finish(l, clip, worker, &lease, &shot));
    LeaseResult r = fixture_finish_result(&lease);
    assert_good(ledger_take_result(l, &r, &gone));
    lease_result_clear(&r);
    lease_clear(&lease);
    return gone;
}

static inline void fixture_fail(Ledger *l, LeaseKind kind, int64_t item, const char *worker, LeaseOutcome outcome)
{
    Lease lease;
    int64_t shot;
    if (kind == LEASE_RENDER)
        assert_good(ledger_give_render(l, item, worker, &lease));
    else
        assert_good(ledger_give_finish(l, item, worker, &lease, &shot));
    assert_good(ledger_end_lease(l, lease.lease, outcome, NULL, "no luck"));
    lease_clear(&lease);
}

#endif
