/* main.c - `reelwright VERB ...`: finds the verb, runs it, turns its Status into a message on stderr and an exit code.
 * A new verb is one function, declared in verbs.h of its folder, and one line of the table below. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/link.h"
#include "common/log.h"
#include "common/options.h"
#include "common/provoke.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/campaign/finish_keys.h"
#include "coordinator/launch/launch_ranks.h"
#include "coordinator/launch/run.h"
#include "coordinator/verbs/verbs.h"
#include "coordinator/watch/serve_judge.h"
#include "engine/engine.h"
#include "worker/finish/finish_look.h"
#include "worker/finish/finish_say.h"
#include "worker/render/worker_loop.h"
#include "worker/verbs/verbs.h"

typedef struct {
    const char *name, *summary;
    Status (*run)(int argc, char **argv);
    bool computes; /* here or in processes that it starts */
} Verb;

/* What works is a module beside the executable, loaded when there is work: with libav and HDF5 come 130 libraries, which take
 * 0.1 s of processor to load, five times as long as the rest of a `status`. */
static Status worker_symbol(const char *name, void *function)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    while (n > 0 && path[n - 1] != '/') n--;
    snprintf(path + (n > 0 ? n : 0), 64, "libreelwright_worker.so");
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL), *found = module ? dlsym(module, name) : NULL;
    if (!found)
        return status_fail(ERR_NODE, "no worker: %s; libreelwright_worker.so belongs beside the program", dlerror());
    memcpy(function, &found, sizeof found);
    return status_ok();
}

static Status work(Link *link, const WorkSettings *settings)
{
    WorkerMain *loop;
    TRY(worker_symbol("worker_loop", &loop));
    return loop(link, settings);
}

static Status verb_run(int argc, char **argv) { return run_verb(argc, argv, work); }

static Status verb_render_any(int argc, char **argv)
{
    typeof(&verb_render) render;
    TRY(worker_symbol("verb_render", &render));
    return render(argc, argv, launch_ranks);
}

static Status verb_bench_any(int argc, char **argv)
{
    static const char *const engine[] = {"--stage", "--scenario", "--shape"};
    bool alone = false; /* the engine, or a campaign */
    for (int i = 1; i < argc; i++)
        for (size_t k = 0; k < sizeof engine / sizeof *engine; k++)
            alone |= strncmp(argv[i], engine[k], strlen(engine[k])) == 0;
    if (!alone) return verb_bench_campaign(argc, argv);
    typeof(&verb_bench) bench;
    TRY(worker_symbol("verb_bench", &bench));
    return bench(argc, argv, launch_ranks);
}

static Status verb_calibrate_any(int argc, char **argv)
{
    Calibrate *measure;
    TRY(worker_symbol("calibrate", &measure));
    return verb_calibrate(argc, argv, measure);
}

static Status verb_cameo_any(int argc, char **argv)
{
    typeof(&verb_cameo_media) media;
    if (!verb_cameo_needs_media(argc, argv)) return verb_cameo(argc, argv);
    TRY(worker_symbol("verb_cameo_media", &media));
    return media(argc, argv, serve_judge);
}

static Status verb_gate_any(int argc, char **argv)
{
    GateFiles *files;
    TRY(worker_symbol("verb_gate_files", &files));
    return verb_gate(argc, argv, files);
}

static Status verb_verify_any(int argc, char **argv)
{
    VerifyFile *look;
    TRY(worker_symbol("verb_verify_file", &look));
    return verb_verify(argc, argv, look);
}

static Status verb_inspect_any(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *ledger = path_join(argv[i], "ledger.db");
        const bool is_campaign = file_exists(ledger),
                   is_ledger = strcmp(path_name(argv[i]), "ledger.db") == 0 && file_exists(argv[i]);
        free(ledger);
        if (!is_campaign && !is_ledger) continue;
        char *folder = is_ledger ? path_folder(argv[i]) : NULL;
        if (folder) argv[i] = folder;
        Status status = verb_status(argc, argv);
        free(folder);
        return status;
    }
    typeof(&verb_inspect) inspect;
    TRY(worker_symbol("verb_inspect", &inspect));
    return inspect(argc, argv);
}

/* ---- what the coordinator asks the engine ---- */

static Status probe_open(const char *folder, void **self)
{
    Engine *e = NULL;
    Status status = engine_open_headers(folder, &e);
    *self = e;
    return status;
}

static Status probe_tokens(void *self, const char *prompt, int *count, char read[HASH_TEXT])
{
    return engine_count_tokens(self, prompt, count, read);
}

static Status probe_adapter_file(void *self, const char *file, const char *expert)
{
    const AdapterExpert of = strcmp(expert, "high") == 0  ? ADAPTER_HIGH
                             : strcmp(expert, "low") == 0 ? ADAPTER_LOW
                                                          : ADAPTER_BOTH;
    return engine_check_adapters(self, &(EngineAdapter){file, 1, of}, 1);
}

static void probe_close(void **self)
{
    Engine *e = *self;
    engine_close(&e);
    *self = NULL;
}

static ModelProbe probe = {
    .open = probe_open, .tokens = probe_tokens, .adapter = probe_adapter_file, .close = probe_close};

/* What a clip's texts, pictures and voice come to, the worker's libraries know: loaded when a campaign asks for any. */
static Status look_at_clips(const FinishLookJob *job)
{
    typeof(&finish_look) look;
    TRY(worker_symbol("finish_look", &look));
    return look(job);
}

static Status verb_voices_any(int argc, char **argv)
{
    typeof(&finish_say) say;
    TRY(worker_symbol("finish_say", &say));
    return verb_voices(argc, argv, say);
}

static const Verb verbs[] = {
    {"render", "one clip from a prompt", verb_render_any, true},
    {"check", "validate a campaign and show what it would do", verb_check, false},
    {"run", "render a campaign, or go on with one", verb_run, true},
    {"submit", "have Slurm run a campaign, tonight, on several nodes", verb_submit, false},
    {"merge", "make one campaign of its parts", verb_merge, false},
    {"status", "a campaign as it stands", verb_status, false},
    {"pause", "hold a campaign, or clips of it", verb_pause, false},
    {"resume", "go on with what was paused or cancelled", verb_resume, false},
    {"cancel", "end a campaign's run, or leave clips of it out", verb_cancel, false},
    {"retry", "try failed clips again", verb_retry, false},
    {"priority", "which of several campaigns goes first", verb_priority, false},
    {"pilot", "look at a campaign's first clips, and approve or reject them", verb_pilot, false},
    {"explain", "why one clip is where it is", verb_explain, false},
    {"deliver", "copy approved clips and write the delivery list", verb_deliver, false},
    {"cameo", "people, their likeness, and what they allow", verb_cameo_any, false},
    {"erase", "remove one customer's data from a campaign", verb_erase, false},
    {"expire", "remove the data of all that are past the retention", verb_expire, false},
    {"dossier", "the legal department's file of a campaign", verb_dossier, false},
    {"keys", "the key that signs this farm's clips", verb_keys, false},
    {"voices", "hear what a campaign says before the night", verb_voices_any, false},
    {"review", "look at finished clips, approve or reject them", verb_review, false},
    {"gate", "measure any video: black, frozen, flicker, flashes, loudness and more", verb_gate_any, false},
    {"verify", "which clip a file is, and whether it was altered", verb_verify_any, false},
    {"inspect", "look inside a checkpoint, a model folder, a ledger or a clip", verb_inspect_any, false},
    {"bench", "measure a campaign, or one stage of the engine, on this machine", verb_bench_any, true},
    {"calibrate", "measure which steps of a campaign may be left out", verb_calibrate_any, false},
    {"plan", "how long a campaign takes, on how many nodes, at what cost", verb_plan, false},
};
enum { VERB_COUNT = (int)(sizeof verbs / sizeof *verbs) };

/* What these write into a campaign's folder is its owner's alone; what leaves the house gets its mode where it is written. */
static bool writes_campaigns(const char *verb)
{
    static const char *const names[] = {"run",      "submit", "merge",   "pause",  "resume", "cancel", "retry",
                                        "priority", "pilot",  "deliver", "review", "erase",  "expire", "dossier"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(verb, names[i]) == 0) return true;
    return false;
}

static void print_help(FILE *to)
{
    fprintf(to, "usage: reelwright VERB [options]\nRenders personal video clips, one or a campaign of them, on your "
                "own machines.\n\n");
    for (int i = 0; i < VERB_COUNT; i++) fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
    fprintf(to, "\n`reelwright VERB --help` says what a verb takes; `reelwright --version` which one this is.\n"
                "Exit status: 0 done; 1 some clips failed; 2 the input is wrong; 3 the farm could not go on;\n"
                "75 stopped in order to be resumed.\n");
}

static const Verb *find_verb(const char *name)
{
    for (int i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    return NULL;
}

static Status unknown_verb(const char *name)
{
    const char *list[VERB_COUNT];
    for (int i = 0; i < VERB_COUNT; i++) list[i] = verbs[i].name;
    const char *near = options_nearest(name, list, VERB_COUNT);
    if (near) return status_fail(ERR_INPUT, "unknown verb \"%s\"; did you mean \"%s\"?", name, near);
    return status_fail(ERR_INPUT, "unknown verb \"%s\"; `reelwright --help` lists them", name);
}

/* Threads that wait for each other shall sleep, not spin: with other work on the same two cores a render of 0.4 s of processor
 * time took 4 to 16 s of the clock, spinning, and 0.4 to 0.5 s asleep. libgomp reads the setting when it is loaded, before main,
 * so the program starts itself once more with it where this process computes; ranks that it launches inherit it. The user's own
 * setting wins. */
static void let_threads_sleep(char **argv, bool launches)
{
    char self[4096];
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    if (setenv("OMP_WAIT_POLICY", "passive", 1) != 0 || launches) return;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return;
    self[n] = 0;
    execv(self, argv); /* returns only where it failed: go on as it is */
}

/* jansson leaves out what it has no memory for: a customer's row without one of its columns. */
static void *json_memory(size_t bytes) { return memory_get(bytes, 1); }

int main(int argc, char **argv)
{
    json_set_alloc_funcs(json_memory, free);
    link_forget_launcher();
    signal(SIGPIPE, SIG_IGN); /* `run | head -1`: who reads no more does not end a night */
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    probe.most_tokens = engine_most_tokens;
    campaign_use_probe(&probe);
    finish_keys_use(look_at_clips);
    if (strcmp(argv[1], "--version") == 0) {
        printf("reelwright %s\n", REELWRIGHT_VERSION);
        return 0;
    }
    const Verb *v = find_verb(argv[1]);
    if (v && v->computes) let_threads_sleep(argv, v->run == verb_run && !link_under_launcher());
    if (v && writes_campaigns(v->name)) umask(077);
    Status status = provoke_order(getenv(provoke_variable));
    if (!failed(status)) status = v ? v->run(argc - 1, argv + 1) : unknown_verb(argv[1]);
    if (fflush(stdout) != 0 && errno != EPIPE && !failed(status))
        status = status_errno(ERR_NODE, "cannot write to standard output");
    if (status.err == ERR_STOP)
        log_line(LOG_INFO, "stopped: %s", status.message);
    else if (failed(status))
        log_status(LOG_ERROR, status);
    return status_exit_code(status);
}
