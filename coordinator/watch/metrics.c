#include "metrics.h"

#include <string.h>

/* Every family is written once, with the samples of all campaigns: the format wants them together. */
typedef struct {
    FILE *f;
    const Snapshot *s;         /* [count] */
    const LeaseTotals *totals; /* [count] */
    int count;
    double now_s;
} Page;

static void put_label(FILE *f, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\\' || *p == '"') putc('\\', f);
        if (*p == '\n')
            fputs("\\n", f);
        else
            putc(*p, f);
    }
}

static void begin(const Page *p, const char *name, const char *type, const char *unit, const char *help)
{
    fprintf(p->f, "# TYPE reelwright_%s %s\n", name, type);
    if (*unit) fprintf(p->f, "# UNIT reelwright_%s %s\n", name, unit);
    fprintf(p->f, "# HELP reelwright_%s %s\n", name, help);
}

/* Two campaigns of one name must be two series: then the folder is a label too. */
static bool has_namesake(const Page *p, const Snapshot *s)
{
    for (int k = 0; k < p->count; k++)
        if (&p->s[k] != s && strcmp(p->s[k].name, s->name) == 0) return true;
    return false;
}

/* A sample, up to its further labels. */
static void put_name(const Page *p, const char *name, const Snapshot *s)
{
    fprintf(p->f, "reelwright_%s{campaign=\"", name);
    put_label(p->f, s->name);
    putc('"', p->f);
    if (!has_namesake(p, s)) return;
    fputs(",folder=\"", p->f);
    put_label(p->f, s->folder);
    putc('"', p->f);
}

static void put_value(const Page *p, double value) { fprintf(p->f, "} %.15g\n", value); }

/* ---- families with one sample for each campaign ---- */

static double priority(const Snapshot *s, double now_s) { return (void)now_s, s->priority; }
static double per_hour(const Snapshot *s, double now_s) { return snapshot_clips_per_hour(s, now_s); }
static double steps(const Snapshot *s, double now_s) { return (void)now_s, (double)s->steps; }
static double launches(const Snapshot *s, double now_s) { return (void)now_s, (double)s->launches; }
static double heard(const Snapshot *s, double now_s) { return (void)now_s, s->heard_s; }
static double deadline(const Snapshot *s, double now_s) { return (void)now_s, s->deadline_s; }
static double late(const Snapshot *s, double now_s) { return snapshot_late_s(s, now_s); }
static double masters(const Snapshot *s, double now_s) { return (void)now_s, (double)s->shot_count[SHOT_MASTERED]; }
static double running(const Snapshot *s, double now_s) { return (void)now_s, s->epoch > 0 && s->ended_s <= 0; }
static double waiting(const Snapshot *s, double now_s) { return (void)now_s, *snapshot_waits_for(s) != 0; }

static const struct {
    const char *name, *type, *unit, *help, *suffix;
    double (*value)(const Snapshot *s, double now_s);
} single[] = {
    {"priority", "gauge", "", "Campaigns of higher priority go first.", "", priority},
    {"clips_per_hour", "gauge", "", "Speed since the first lease of the last job.", "", per_hour},
    {"steps", "counter", "", "Denoising steps: the highest reached, summed over all shots.", "_total", steps},
    {"launches", "counter", "", "Jobs that have given work.", "_total", launches},
    {"heard_timestamp_seconds", "gauge", "seconds", "When the coordinator last wrote into the ledger.", "", heard},
    {"deadline_timestamp_seconds", "gauge", "seconds", "When the campaign is due; 0 without a deadline.", "", deadline},
    {"late_seconds", "gauge", "seconds", "By how much the deadline is missed at the speed so far; below 0 it is kept.",
     "", late},
    {"masters", "gauge", "", "Shots that are rendered and wait for clips to be finished of them.", "", masters},
    {"running", "gauge", "", "1 while a coordinator has the campaign.", "", running},
    {"waiting", "gauge", "", "1 when it waits for a person: a pilot to be approved, or a pause to be ended.", "",
     waiting},
};

static void put_singles(const Page *p)
{
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        begin(p, single[i].name, single[i].type, single[i].unit, single[i].help);
        char name[64];
        snprintf(name, sizeof name, "%s%s", single[i].name, single[i].suffix);
        for (int k = 0; k < p->count; k++) {
            put_name(p, name, &p->s[k]);
            put_value(p, single[i].value(&p->s[k], p->now_s));
        }
    }
}

/* ---- families with a sample for each state, or each worker ---- */

static void put_states(const Page *p)
{
    begin(p, "clips", "gauge", "", "Clips in each state.");
    for (int k = 0; k < p->count; k++)
        for (int i = 0; i < CLIP_STATES; i++) {
            put_name(p, "clips", &p->s[k]);
            fprintf(p->f, ",state=\"%s\"", ledger_clip_state_name((ClipState)i));
            put_value(p, (double)p->s[k].clip_count[i]);
        }
    begin(p, "shots", "gauge", "", "Shots, which are renders that clips share, in each state.");
    for (int k = 0; k < p->count; k++)
        for (int i = 0; i < SHOT_STATES; i++) {
            put_name(p, "shots", &p->s[k]);
            fprintf(p->f, ",state=\"%s\"", ledger_shot_state_name((ShotState)i));
            put_value(p, (double)p->s[k].shot_count[i]);
        }
}

static void put_workers(const Page *p)
{
    static const char *const state[] = {"absent", "ready", "helping", "working", "aside", "lost", "dead", "gone"};
    begin(p, "workers", "gauge", "", "Workers of the last job in each state.");
    for (int k = 0; k < p->count; k++)
        for (size_t i = 0; i < sizeof state / sizeof *state; i++) {
            int n = 0;
            for (int w = 0; w < p->s[k].worker_count; w++)
                n += !p->s[k].worker[w].is_tail && strcmp(p->s[k].worker[w].state, state[i]) == 0;
            put_name(p, "workers", &p->s[k]);
            fprintf(p->f, ",state=\"%s\"", state[i]);
            put_value(p, n);
        }
    begin(p, "workers_at", "gauge", "", "Workers that render, and that finish, now.");
    for (int k = 0; k < p->count; k++)
        for (int i = 0; i < LEASE_KINDS; i++) {
            put_name(p, "workers_at", &p->s[k]);
            fprintf(p->f, ",kind=\"%s\"", lease_kind_name((LeaseKind)i));
            put_value(p, snapshot_workers_at(&p->s[k], (LeaseKind)i));
        }
}

static void put_made(const Page *p, const char *name, const char *help, LeaseKind kind)
{
    char sample[64];
    snprintf(sample, sizeof sample, "%s_total", name);
    begin(p, name, "counter", "", help);
    for (int k = 0; k < p->count; k++)
        for (int w = 0; w < p->s[k].worker_count; w++) {
            const WorkerLine *line = &p->s[k].worker[w];
            if (line->is_tail) continue;
            put_name(p, sample, &p->s[k]);
            fprintf(p->f, ",worker=\"%d\",host=\"", line->rank);
            put_label(p->f, line->host);
            fputs("\"", p->f);
            put_value(p, kind == LEASE_RENDER ? line->renders : line->finished);
        }
}

static void put_info(const Page *p)
{
    begin(p, "campaign", "info", "", "What the campaign is, and how its last job ended.");
    for (int k = 0; k < p->count; k++) {
        put_name(p, "campaign_info", &p->s[k]);
        fprintf(p->f, ",fingerprint=\"%.12s\",model=\"%.12s\",outcome=\"", p->s[k].fingerprint, p->s[k].model_hash);
        put_label(p->f, p->s[k].ended_s > 0 ? p->s[k].outcome : "");
        fprintf(p->f, "\",pilot=\"%s\"", ledger_pilot_state_name(p->s[k].pilot));
        put_value(p, 1);
    }
}

static void put_totals(const Page *p)
{
    begin(p, "leases", "counter", "", "Attempts at rendering a shot and at finishing a clip, by how they ended.");
    for (int k = 0; k < p->count; k++)
        for (int i = 0; i < LEASE_KINDS * LEASE_OUTCOMES; i++) {
            const int kind = i / LEASE_OUTCOMES, outcome = i % LEASE_OUTCOMES;
            put_name(p, "leases_total", &p->s[k]);
            fprintf(p->f, ",kind=\"%s\",outcome=\"%s\"", lease_kind_name((LeaseKind)kind),
                    ledger_outcome_name(outcome));
            put_value(p, (double)p->totals[k].count[kind][outcome]);
        }
    begin(p, "stage_seconds", "counter", "seconds",
          "Time that rendered shots and finished clips have taken in each stage.");
    for (int k = 0; k < p->count; k++) {
        const LeaseTotals *t = &p->totals[k];
        const struct {
            const char *stage;
            double s;
        } spent[] = {{"text", t->text_s}, {"denoise", t->denoise_s}, {"decode", t->decode_s}, {"finish", t->finish_s}};
        for (size_t i = 0; i < sizeof spent / sizeof *spent; i++) {
            put_name(p, "stage_seconds_total", &p->s[k]);
            fprintf(p->f, ",stage=\"%s\"", spent[i].stage);
            put_value(p, spent[i].s);
        }
    }
}

void metrics_write(FILE *f, const Snapshot *s, const LeaseTotals *totals, int count, double now_s)
{
    Page p = {f, s, totals, count, now_s};
    put_info(&p);
    put_states(&p);
    put_workers(&p);
    put_made(&p, "worker_shots", "Shots that a worker of the last job has rendered.", LEASE_RENDER);
    put_made(&p, "worker_clips", "Clips that a worker of the last job has finished.", LEASE_FINISH);
    put_totals(&p);
    put_singles(&p);
    fputs("# EOF\n", f);
}
