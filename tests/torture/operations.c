#include "operations.h"

#include <mpi.h>

#include "../farm/fake_png.h"
#include "../unit/farm_fixture.h"
#include "calls.h"
#include "common/link.h"
#include "common/moment.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/watch/events.h"
#include "worker/finish/finish.h"
#include "worker/render/checkpoint.h"
#include "worker/render/worker.h"

#define MODEL     SOURCE_DIR "/tests/parity/fixtures/t2v-0/model"
#define BIT(kind) (1u << (kind))

enum { ROWS = 4, SIDE = 32, FRAMES = 5 };

static void must(Status s)
{
    if (!failed(s)) return;
    fprintf(stderr, "cannot prepare: %s\n", s.message);
    abort();
}

static Status expect(bool holds, const char *what)
{
    return holds ? status_ok() : status_fail(ERR_FATAL, "after a success: %s", what);
}

static void prepare_nothing(void) {}

/* ---- a campaign, from its file to its plan ---- */

static void prepare_campaign(void)
{
    static const char yaml[] =
        "campaign: t\nmodel: " MODEL "\ncustomers: c.csv\nprompt: \"a {{color}} balloon\"\nseed: 7\n"
        "size: 32x48\nframes: 5\nfps: 8\nsteps: 2\nrenditions: [preview]\nreview: {policy: none}\n";
    static const char csv[] = "id,color\nk1,red\nk2,blue\nk3,\"dark \"\"red\"\"\"\n";
    must(file_replace("c.yaml", yaml, sizeof yaml - 1));
    must(file_replace("c.csv", csv, sizeof csv - 1));
}

static int64_t clips_planned, shots_planned;

static Status run_campaign(void)
{
    Campaign *c = NULL;
    TRY(campaign_load("c.yaml", &c));
    clips_planned = c->clip_count;
    shots_planned = c->shot_count;
    campaign_free(&c);
    return status_ok();
}

static Status verify_campaign(void)
{
    return expect(clips_planned == 3 && shots_planned == 3, "three clips and shots");
}

/* ---- the ledger: the plan, a round ---- */

static Status run_plan(void)
{
    Ledger *l = NULL;
    Campaign *c = fixture_campaign("night", ROWS, 1);
    Status status = ledger_open(".", LEDGER_WRITE, &l);
    if (!failed(status)) status = ledger_adopt(l, c, 1e9);
    ledger_close(&l);
    fixture_campaign_free(c);
    return status;
}

static Status count_state(void *self, const ClipRow *row)
{
    int *count = self;
    count[0]++;
    count[1] += strcmp(row->state, "approved") == 0 || strcmp(row->state, "delivered") == 0;
    return status_ok();
}

/* The rows, and the counts that status shows, say the same: `finished` of ROWS. */
static Status verify_ledger(int least_finished)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    int count[2] = {0};
    Status status = status_ok();
    TRY_OUT(ledger_open(".", LEDGER_READ, &l));
    TRY_OUT(ledger_read_clips(l, NULL, (ClipSink){count_state, count}));
    TRY_OUT(ledger_read_snapshot(l, &s));
    TRY_OUT(expect(count[0] == ROWS && s.clips == ROWS, "every row is there"));
    TRY_OUT(expect(s.finished == count[1] && s.left == ROWS - count[1], "counts as the rows say"));
    TRY_OUT(expect(count[1] >= least_finished, "the clip is finished"));
out:
    snapshot_clear(&s);
    ledger_close(&l);
    return status;
}

static Status verify_plan(void) { return verify_ledger(0); }
static void prepare_plan(void) { must(run_plan()); }

static LeaseResult result_for(const Lease *lease)
{
    LeaseResult r = {
        .lease = lease->lease, .epoch = lease->epoch, .reason = text_copy(""), .clip_count = lease->clip_count};
    memcpy(r.key, lease->key, HASH_TEXT);
    r.steps_done = lease->steps;
    r.denoise_s = 1;
    r.clip = memory_get((size_t)lease->clip_count, sizeof *r.clip);
    for (int i = 0; i < lease->clip_count; i++) {
        ClipResult *c = &r.clip[i];
        *c = (ClipResult){.clip_id = text_copy(lease->clip[i].clip_id),
                          .file = text_format("clips/%s.mp4", lease->clip[i].stem),
                          .thumbnail = text_format("clips/%s.png", lease->clip[i].stem),
                          .sheet = text_format("clips/%s.sheet.png", lease->clip[i].stem),
                          .duration_s = 1,
                          .width = 2,
                          .height = 2};
        hash_bytes(lease->clip[i].stem, strlen(lease->clip[i].stem), c->sha256);
    }
    return r;
}

/* One shot from planned to rendered: two rounds, as the coordinator does it. */
static Status render_one(Ledger *l)
{
    Lease lease = {0};
    LeaseResult result = {0};
    int64_t *shot = NULL, count = 0;
    bool more = false;
    Status status = status_ok();
    TRY_OUT(ledger_planned_shots(l, &shot, &count));
    if (count == 0) goto out;
    TRY_OUT(ledger_begin(l, 1e9));
    TRY_OUT(ledger_give_lease(l, shot[0], "here:1", &lease));
    TRY_OUT(ledger_commit(l));
    result = result_for(&lease);
    TRY_OUT(ledger_begin(l, 1e9 + 1));
    TRY_OUT(ledger_note_finishing(l, lease.lease));
    TRY_OUT(ledger_take_result(l, &result, &more));
    TRY_OUT(ledger_note_alive(l));
    TRY_OUT(ledger_commit(l));
out:
    ledger_rollback(l);
    lease_result_clear(&result);
    lease_clear(&lease);
    free(shot);
    return status;
}

static Status run_round(void)
{
    Ledger *l = NULL;
    Status status = status_ok();
    TRY_OUT(ledger_open(".", LEDGER_WRITE, &l));
    TRY_OUT(ledger_begin_epoch(l, "here", 1, 1e9));
    TRY_OUT(render_one(l));
    TRY_OUT(ledger_end_epoch(l, "done", 1e9 + 2));
out:
    ledger_close(&l);
    return status;
}

static Status verify_round(void) { return verify_ledger(1); }

/* ---- delivering and the pages ---- */

static void prepare_finished(void)
{
    Ledger *l = NULL;
    must(run_plan());
    must(ledger_open(".", LEDGER_WRITE, &l));
    must(ledger_begin_epoch(l, "here", 1, 1e9));
    must(file_make_folders("clips"));
    for (int i = 0; i < ROWS; i++) {
        static const char *const ending[] = {"mp4", "png", "sheet.png"};
        char stem[16];
        snprintf(stem, sizeof stem, "stem%d", i);
        must(render_one(l));
        for (int k = 0; k < 3; k++) {
            char path[64];
            snprintf(path, sizeof path, "clips/%s.%s", stem, ending[k]);
            must(k == 0 ? file_replace(path, stem, strlen(stem)) : fake_png(path, stem));
        }
    }
    must(ledger_end_epoch(l, "done", 1e9));
    ledger_close(&l);
}

static Status run_conclude(void) { return conclude(".", 0, status_ok(), true); }

static Status verify_conclude(void)
{
    char *a = NULL, *b = NULL;
    size_t a_bytes, b_bytes;
    int lines = 0;
    Status status = verify_ledger(ROWS);
    if (!failed(status)) status = file_read("delivery.csv", 1 << 20, &a, &a_bytes);
    if (!failed(status)) status = file_read("delivery/delivery.csv", 1 << 20, &b, &b_bytes);
    if (!failed(status))
        status = expect(a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0, "the two lists are the same");
    for (const char *p = a; !failed(status) && (p = strstr(p, ",delivered,")); p++) lines++;
    if (!failed(status)) status = expect(lines == ROWS, "every row is delivered in the list");
    if (!failed(status)) status = expect(file_exists("delivery/clips/stem3.mp4"), "the clips are copied");
    if (!failed(status)) status = expect(file_exists("report/index.html"), "the report is there");
    free(a);
    free(b);
    return status;
}

static Status run_events(void)
{
    Events *e = NULL;
    int lock = -1;
    Status status = status_ok();
    TRY_OUT(lock_take(".", false, &lock));
    TRY_OUT(events_open(".", "night", &e));
    events_add(e, 1e9, "job.started", "{s:i}", "workers", 2);
    TRY_OUT(events_flush(e));
out:
    events_close(&e);
    lock_release(&lock);
    return status;
}

static Status verify_events(void)
{
    char *text = NULL;
    size_t bytes;
    TRY(file_read("events.jsonl", 1 << 20, &text, &bytes));
    Status status = expect(strstr(text, "\"event\":\"job.started\"") && text[bytes - 1] == '\n', "the event is there");
    free(text);
    return status;
}

/* ---- checkpoints ---- */

static float latents[16], history[16];

static Checkpoint sample(int step)
{
    Checkpoint c = {.owner = {.shot = "s", .model = "m", .prompt_sha256 = "p", .seed = 3, .steps = 4, .dtype = "fp32"},
                    .dim = {1, 1, 4, 4},
                    .state = {.step = step, .latents = latents, .solver_count = 1, .solver = {history}}};
    c.owner.width = c.owner.height = SIDE;
    c.owner.frames = FRAMES;
    c.owner.fps = 8;
    for (int i = 0; i < 16; i++) latents[i] = (float)(step * 100 + i);
    return c;
}

static int read_step; /* of the last checkpoint that was read */

static void prepare_checkpoint(void)
{
    Checkpoint c = sample(2);
    must(checkpoint_write("x.h5", &c));
}

static Status run_read(void)
{
    Checkpoint want = sample(2), got;
    TRY(checkpoint_read("x.h5", &want.owner, &got));
    read_step = memcmp(got.state.latents, latents, sizeof latents) == 0 ? got.state.step : -1;
    checkpoint_clear(&got);
    return status_ok();
}

static Status verify_read(void) { return expect(read_step == 2, "the checkpoint is the one that was written"); }

static Status run_write(void)
{
    Checkpoint c = sample(3);
    CheckpointMark mark = {0}; /* another worker's, older: read first, then replaced */
    return checkpoint_write_since("x.h5", &c, &mark);
}

static Status verify_write(void)
{
    Checkpoint got;
    TRY(checkpoint_read("x.h5", NULL, &got));
    int step = got.state.step;
    checkpoint_clear(&got);
    return expect(step == 3, "the new checkpoint stands");
}

/* ---- clips ---- */

static ClipOrder orders[] = {{"1", "anna", ""}, {"2", "ben", ""}};
static char finish[] =
    "{\"renditions\":["
    "{\"name\":\"small\",\"width\":32,\"height\":32,\"crf\":24,\"preset\":\"ultrafast\",\"max_kbps\":0},"
    "{\"name\":\"same\",\"width\":32,\"height\":32,\"crf\":24,\"preset\":\"ultrafast\",\"max_kbps\":0}]}";

static Lease finish_lease(void)
{
    return (Lease){.lease = 1,
                   .campaign_folder = (char *)(uintptr_t) ".",
                   .shot = {.width = SIDE, .height = SIDE, .frames = FRAMES, .fps = 8, .steps = 2},
                   .finish = finish,
                   .clip_count = 2,
                   .clip = orders};
}

static Status run_finish(void)
{
    static float frames[FRAMES * SIDE * SIDE * 3];
    Lease lease = finish_lease();
    LeaseResult result = {0};
    Finish *f = NULL;
    for (int i = 0; i < FRAMES * SIDE * SIDE * 3; i++) frames[i] = (float)(i % 97) / 97;
    TRY(finish_begin(&lease, &f));
    Status status = finish_put(f, frames, FRAMES, SIDE, SIDE);
    if (failed(status))
        finish_abandon(&f);
    else
        status = finish_end(&f, (Progress){0}, &result);
    lease_result_clear(&result);
    return status;
}

/* Both clips, both renditions: the same file under four names, and it is a whole one. */
static Status verify_finish(void)
{
    static const char *const same[] = {"clips/anna.mp4", "clips/anna.same.mp4", "clips/ben.mp4", "clips/ben.same.mp4"};
    static const char *const stills[] = {"clips/anna.png", "clips/anna.sheet.png", "clips/ben.png",
                                         "clips/ben.sheet.png"};
    char first[HASH_TEXT] = "", other[HASH_TEXT];
    int64_t bytes = 0;
    TRY(hash_file(same[0], first));
    for (int i = 1; i < 4; i++) {
        TRY(hash_file(same[i], other));
        TRY(expect(strcmp(first, other) == 0, "the renditions are the same"));
    }
    for (int i = 0; i < 4; i++) {
        TRY(file_size(stills[i], &bytes));
        TRY(expect(bytes > 100, "the stills are there"));
    }
    TRY(file_size(same[0], &bytes));
    return expect(bytes > 1000, "the clip is there");
}

/* ---- a model, a lease from beginning to end ---- */

static const BackendOptions one_thread = {.kind = BACKEND_CPU, .compute = F32, .threads = 1};

static Status run_model(void)
{
    Engine *e = NULL;
    TRY(engine_open(MODEL, &one_thread, &e));
    engine_close(&e);
    return status_ok();
}

static Status verify_nothing(void) { return status_ok(); }

static Status run_lease(void)
{
    Lease lease = finish_lease();
    LeaseResult result;
    lease.model_folder = (char *)(uintptr_t)MODEL;
    lease.shot.prompt = (char *)(uintptr_t) "a red balloon";
    lease.shot.negative = (char *)(uintptr_t) "";
    lease.shot.guidance = 1;
    lease.shot.flow_shift = 3;
    snprintf(lease.shot.scheduler, sizeof lease.shot.scheduler, "unipc");
    lease.checkpoint_every = 1;
    TRY(model_config_hash(MODEL, lease.model_hash));
    shot_key(&lease.shot, lease.model_hash, lease.key);
    Worker *w = worker_new(&one_thread);
    worker_do_lease(w, &lease, (Progress){0}, &result);
    Status status = result.err ? status_fail((ErrClass)result.err, "%s", result.reason)
                               : expect(result.clip_count == 2, "two clips are reported");
    lease_result_clear(&result);
    worker_free(&w);
    return status;
}

/* ---- the link: a job of one rank that writes to itself ---- */

static Status run_link(void)
{
    static Link *l; /* MPI cannot be started twice: what failed later goes on with the same */
    News news = {0};
    if (!l) TRY(link_open_mpi(&l));
    TRY(link_send(l, 0, "news", 5));
    for (int i = 0; i < 100 && news.kind == NEWS_NONE; i++) TRY(link_hear(l, 50, &news));
    Status status = expect(news.kind == NEWS_MESSAGE && news.bytes == 5 && strcmp((char *)news.data, "news") == 0,
                           "the message arrives whole");
    news_clear(&news);
    return status;
}

const Operation operations[] = {
    {"campaign", BIT(MEMORY) | BIT(FILES), 40, prepare_campaign, run_campaign, verify_campaign},
    {"plan", BIT(MEMORY) | BIT(FILES) | BIT(SQLITE), 40, prepare_nothing, run_plan, verify_plan},
    {"round", BIT(MEMORY) | BIT(FILES) | BIT(SQLITE), 60, prepare_plan, run_round, verify_round},
    {"conclude", BIT(MEMORY) | BIT(FILES) | BIT(SQLITE), 30, prepare_finished, run_conclude, verify_conclude},
    {"events", BIT(MEMORY) | BIT(FILES), 200, prepare_nothing, run_events, verify_events},
    {"checkpoint read", BIT(MEMORY) | BIT(FILES) | BIT(HDF5), 100, prepare_checkpoint, run_read, verify_read},
    {"checkpoint write", BIT(MEMORY) | BIT(FILES) | BIT(HDF5), 150, prepare_checkpoint, run_write, verify_write},
    {"finish", BIT(MEMORY) | BIT(FILES) | BIT(LIBAV), 16, prepare_nothing, run_finish, verify_finish},
    {"model", BIT(MEMORY) | BIT(FILES), 12, prepare_nothing, run_model, verify_nothing},
    {"lease", BIT(MEMORY) | BIT(FILES) | BIT(HDF5) | BIT(LIBAV), 8, prepare_nothing, run_lease, verify_finish},
    {"link", BIT(MEMORY) | BIT(MPI), 12, prepare_nothing, run_link, verify_nothing},
};
const int operation_count = (int)(sizeof operations / sizeof *operations);
