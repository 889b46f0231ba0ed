#include "operations.h"

#include <mpi.h>

#include "../unit/farm_fixture.h"
#include "calls.h"
#include "common/link.h"
#include "common/moment.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/watch/events.h"
#include "tests/farm/fake_png.h"
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

/* One round gives the lease, the next takes its result, as the coordinator does it. */
static Status make_one(Ledger *l, LeaseKind kind, int64_t item)
{
    Lease lease = {0};
    LeaseResult result = {0};
    int64_t shot;
    bool gone = false;
    Status status = status_ok();
    TRY_OUT(ledger_begin(l, 1e9));
    if (kind == LEASE_RENDER)
        TRY_OUT(ledger_give_render(l, item, "here:1", &lease));
    else
        TRY_OUT(ledger_give_finish(l, item, "here:1", &lease, &shot));
    TRY_OUT(ledger_commit(l));
    result = kind == LEASE_RENDER ? fixture_render_result(&lease) : fixture_finish_result(&lease);
    if (kind == LEASE_FINISH) { /* what prepare_finished makes */
        free(result.clip.thumbnail);
        free(result.clip.sheet);
        result.clip.thumbnail = text_format("clips/%s.png", lease.stem);
        result.clip.sheet = text_format("clips/%s.sheet.png", lease.stem);
        hash_bytes(lease.stem, strlen(lease.stem), result.clip.sha256);
    }
    TRY_OUT(ledger_begin(l, 1e9 + 1));
    TRY_OUT(ledger_take_result(l, &result, &gone));
    TRY_OUT(ledger_note_alive(l));
    TRY_OUT(ledger_commit(l));
out:
    ledger_rollback(l);
    lease_result_clear(&result);
    lease_clear(&lease);
    return status;
}

/* One shot from planned to done: its render, the finish of its clip. */
static Status render_one(Ledger *l)
{
    int64_t *shot = NULL, *clip = NULL, shots = 0, clips = 0;
    Status status = status_ok();
    TRY_OUT(ledger_waiting_clips(l, -1, &clip, &clips));
    TRY_OUT(ledger_planned_shots(l, &shot, &shots));
    if (clips == 0 && shots > 0) TRY_OUT(make_one(l, LEASE_RENDER, shot[0]));
    free(clip);
    TRY_OUT(ledger_waiting_clips(l, -1, &clip, &clips));
    if (clips > 0) TRY_OUT(make_one(l, LEASE_FINISH, clip[0]));
out:
    free(clip);
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

static char documents[] =
    "{\"renditions\":["
    "{\"name\":\"small\",\"width\":32,\"height\":32,\"crf\":24,\"preset\":\"ultrafast\",\"max_kbps\":0},"
    "{\"name\":\"same\",\"width\":32,\"height\":32,\"crf\":24,\"preset\":\"ultrafast\",\"max_kbps\":0}]}";
static const MasterShape master_shape = {SIDE, SIDE, FRAMES, 8};

static Status run_master(void)
{
    static float frames[FRAMES * SIDE * SIDE * 3];
    MasterWriter *w = NULL;
    MasterFile made;
    for (int i = 0; i < FRAMES * SIDE * SIDE * 3; i++) frames[i] = (float)(i % 97) / 97;
    TRY(master_begin("m.mkv", &master_shape, 1, &w));
    Status status = master_put(w, frames, 2, SIDE, SIDE);
    if (!failed(status)) status = master_put(w, frames + 2 * SIDE * SIDE * 3, FRAMES - 2, SIDE, SIDE);
    if (!failed(status)) return master_end(&w, &made);
    master_abandon(&w);
    return status;
}

static Status verify_master(void)
{
    MasterReader *r = NULL;
    const float *frame = NULL;
    int count = 0;
    TRY(master_open("m.mkv", &master_shape, 1, &r));
    Status status;
    while (!failed(status = master_next(r, &frame)) && frame) count++;
    master_close(&r);
    TRY(status);
    return expect(count == FRAMES, "every frame is there");
}

static void prepare_master(void) { must(run_master()); }

static Status run_finish(void)
{
    const ShotSpec shot = {.width = SIDE, .height = SIDE, .frames = FRAMES, .fps = 8, .steps = 2};
    FinishSpec spec;
    ClipResult clip = {0};
    bool bad = false;
    Status status = finish_spec_read(documents, "", &spec);
    const FinishJob job = {
        .clip_id = "1", .stem = "anna", .shot = &shot, .spec = &spec, .master = "m.mkv", .folder = ".", .threads = 1};
    if (!failed(status)) status = finish_clip(&job, (Progress){0}, &clip, &bad);
    clip_result_clear(&clip);
    finish_spec_clear(&spec);
    return status;
}

/* Both renditions: the same file under two names, and it is a whole one. */
static Status verify_finish(void)
{
    static const char *const stills[] = {"anna.png", "anna.sheet.png"};
    char first[HASH_TEXT] = "", other[HASH_TEXT];
    int64_t bytes = 0;
    TRY(hash_file("anna.mp4", first));
    TRY(hash_file("anna.same.mp4", other));
    TRY(expect(strcmp(first, other) == 0, "the renditions are the same"));
    for (int i = 0; i < 2; i++) {
        TRY(file_size(stills[i], &bytes));
        TRY(expect(bytes > 100, "the stills are there"));
    }
    TRY(file_size("anna.mp4", &bytes));
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

/* The files of a lease go to where the coordinator would move them. */
static Status adopt(const Lease *l, const char *name, const char *folder)
{
    char *work = lease_work_folder(l->lease), *from = path_join(work, name), *to = path_join(folder, name);
    Status status = file_make_folders(folder);
    if (!failed(status) && rename(from, to) != 0) status = status_errno(ERR_NODE, "cannot move %s", from);
    free(work);
    free(from);
    free(to);
    return status;
}

static Status do_lease(Worker *w, const Lease *l, LeaseResult *result)
{
    worker_do_lease(w, l, (Progress){0}, result);
    return result->err ? status_fail((ErrClass)result->err, "%s", result->reason) : status_ok();
}

/* A render, then the finish of a clip of it. */
static Status run_lease(void)
{
    Lease lease = {.lease = 1,
                   .campaign_folder = (char *)(uintptr_t) ".",
                   .model_folder = (char *)(uintptr_t)MODEL,
                   .shot = {.prompt = (char *)(uintptr_t) "a red balloon",
                            .negative = (char *)(uintptr_t) "",
                            .width = SIDE,
                            .height = SIDE,
                            .frames = FRAMES,
                            .fps = 8,
                            .steps = 2,
                            .guidance = 1,
                            .flow_shift = 3,
                            .scheduler = "unipc"},
                   .checkpoint_every = 1};
    LeaseResult render = {0}, result = {0};
    TRY(model_config_hash(MODEL, lease.model_hash));
    shot_key(&lease.shot, lease.model_hash, lease.key);
    Worker *w = worker_new(&one_thread);
    char *master = lease_master_name(lease.key);
    Status status = do_lease(w, &lease, &render);
    if (!failed(status)) status = adopt(&lease, master, lease_masters);
    lease.kind = LEASE_FINISH;
    lease.lease = 2;
    lease.clip_id = lease.stem = (char *)(uintptr_t) "anna";
    lease.finish = documents;
    lease.clip_finish = (char *)(uintptr_t) "";
    lease.master = render.master;
    if (!failed(status)) status = do_lease(w, &lease, &result);
    for (int i = 0; i < result.clip.name_count && !failed(status); i++)
        status = adopt(&lease, result.clip.name[i], ".");
    lease_result_clear(&render);
    lease_result_clear(&result);
    free(master);
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
    {"finish", BIT(MEMORY) | BIT(FILES) | BIT(LIBAV), 16, prepare_master, run_finish, verify_finish},
    {"master", BIT(MEMORY) | BIT(FILES) | BIT(LIBAV), 16, prepare_nothing, run_master, verify_master},
    {"model", BIT(MEMORY) | BIT(FILES), 12, prepare_nothing, run_model, verify_nothing},
    {"lease", BIT(MEMORY) | BIT(FILES) | BIT(HDF5) | BIT(LIBAV), 8, prepare_nothing, run_lease, verify_finish},
    {"link", BIT(MEMORY) | BIT(MPI), 12, prepare_nothing, run_link, verify_nothing},
};
const int operation_count = (int)(sizeof operations / sizeof *operations);
