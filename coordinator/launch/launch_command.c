#include "launch_command.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/command.h"
#include "common/file.h"
#include "common/link.h"

typedef struct {
    char **word;
    int count, room;
} Words;

static void take(Words *w, char *word) /* owned from now on */
{
    if (w->count + 1 >= w->room) {
        w->room = 2 * w->room + 32;
        w->word = memory_resize(w->word, (size_t)w->room, sizeof *w->word);
    }
    w->word[w->count++] = word;
    w->word[w->count] = NULL;
}

static void add(Words *w, const char *word) { take(w, text_copy(word)); }

static int workers_on(const LaunchOptions *o, const Host *h) { return h->slots > 0 ? h->slots : o->workers; }

int launch_command_workers(const LaunchOptions *o)
{
    int n = o->hosts->count == 0 ? o->workers : 0;
    for (int i = 0; i < o->hosts->count; i++)
        if (o->hosts->host[i].answers) n += workers_on(o, &o->hosts->host[i]);
    return n;
}

/* Which variables of the launcher's environment mpirun passes to the ranks. Ranks on this machine inherit all others too; ranks on
 * another host get these alone, so no secret goes there. A variable that differs from node to node (CUDA_VISIBLE_DEVICES) must not be
 * in this list. */
static void add_environment(Words *w, const Claim *claim)
{
    static const char *const kind[] = {"REELWRIGHT_JOURNAL=",
                                       "REELWRIGHT_PROVOKE=",
                                       "REELWRIGHT_OUTCOME=",
                                       "REELWRIGHT_TRUST=",
                                       "REELWRIGHT_CACHE=",
                                       "OMP_",
                                       "GOMP_",
                                       "NCCL_",
                                       "LD_LIBRARY_PATH="};
    for (char **e = environ; *e; e++) {
        for (size_t k = 0; k < sizeof kind / sizeof *kind; k++) {
            if (strncmp(*e, kind[k], strlen(kind[k])) != 0) continue;
            add(w, "-x");
            take(w, text_format("%.*s", (int)strcspn(*e, "="), *e));
        }
    }
    if (!claim) return;
    add(w, "-x");
    take(w, text_format("%s=%lld", claim_variable, (long long)claim->launch));
}

static bool is_kept(const char *setting)
{
    static const char secret[] = "REELWRIGHT_WEBHOOK_SECRET=";
    return strncmp(setting, secret, sizeof secret - 1) != 0;
}

char **launch_command_environment(void)
{
    const struct passwd *user = getpwuid(geteuid());
    Words w = {0};
    bool home = false;
    for (char **e = environ; *e; e++) {
        if (!is_kept(*e)) continue;
        home = home || strncmp(*e, "HOME=", 5) == 0;
        add(&w, *e);
    }
    if (!home) take(&w, text_format("HOME=%s", user && user->pw_dir ? user->pw_dir : "/"));
    return w.word;
}

/* "n1:3,n2:2": the launcher's machine comes first, with the coordinator and its workers. When it is none of the hosts, it coordinates and
 * has no workers. In an allocation of Slurm's it is one of the hosts, else the first host coordinates. */
static char *host_list(const LaunchOptions *o)
{
    const Hosts *h = o->hosts;
    size_t bytes = 0;
    char *text = NULL;
    bool coordinates = !h->host[0].here && !h->allocated; /* a rank for the coordinator is listed */
    FILE *f = open_memstream(&text, &bytes);
    if (!f) abort();
    if (coordinates) fputs("localhost:1", f);
    for (int i = 0; i < h->count; i++) {
        const Host *host = &h->host[i];
        if (!host->answers) continue;
        fprintf(f, "%s%s:%d", coordinates ? "," : "", host->name, workers_on(o, host) + !coordinates);
        coordinates = true;
    }
    fclose(f);
    return text;
}

static int finishers_of(const LaunchOptions *o)
{
    int n = o->hosts->count == 0 ? 1 : 0;
    for (int i = 0; i < o->hosts->count; i++) n += o->hosts->host[i].answers;
    return n * o->finishers;
}

/* Finishers are the last ranks, those of all hosts behind all workers: groups stay neighbours. */
static void add_finishers(Words *w, const LaunchOptions *o, const char *program)
{
    size_t bytes = 0;
    char *list = NULL;
    FILE *f = open_memstream(&list, &bytes);
    if (!f) abort();
    for (int i = 0, n = 0; i < o->hosts->count; i++)
        if (o->hosts->host[i].answers) fprintf(f, "%s%s:%d", n++ ? "," : "", o->hosts->host[i].name, o->finishers);
    fclose(f);
    add(w, ":");
    add(w, "--host");
    take(w, list);
    add(w, "-n");
    take(w, text_format("%d", finishers_of(o)));
    add(w, program);
    for (char *const *a = o->arguments; *a; a++) add(w, *a);
    add(w, "--finishers");
    take(w, text_format("%d", finishers_of(o)));
}

/* Ranks follow each other host by host, so the ranks of a group are neighbours. */
static void add_hosts(Words *w, const LaunchOptions *o)
{
    if (o->hosts->count == 0) {
        add(w, "--oversubscribe"); /* the coordinator sleeps: it shares a core */
        return;
    }
    add(w, "--map-by");
    add(w, "slot:oversubscribe");
    add(w, "--host");
    take(w, host_list(o));
    if (o->hosts->allocated) return;
    add(w, "--prtemca");
    add(w, "plm_ssh_agent");
    add(w, o->hosts->agent);
}

char **launch_command_new(const LaunchOptions *o, const char *program)
{
    Words w = {0};
    add(&w, MPIEXEC);
    if (link_survives_deaths()) {
        add(&w, "--with-ft");
        add(&w, "ulfm");
        add(&w, "--prtemca"); /* it says which rank died (mpirun.h) */
        add(&w, "errmgr_base_verbose");
        add(&w, "1");
    }
    if (geteuid() == 0) add(&w, "--allow-run-as-root");
    add_hosts(&w, o);
    add(&w, "--bind-to");
    add(&w, "none");
    add_environment(&w, o->claim);
    add(&w, "-n");
    const int here = o->hosts->count == 0 ? o->finishers : 0;
    take(&w, text_format("%d", launch_command_workers(o) + 1 + here));
    add(&w, program);
    for (char *const *a = o->arguments; *a; a++) add(&w, *a);
    if (o->finishers > 0) {
        add(&w, "--finishers");
        take(&w, text_format("%d", finishers_of(o)));
        if (here == 0) add_finishers(&w, o, program);
    }
    return w.word;
}

/* Only calls that are safe between fork and exec. */
void launch_command_become(char **command, char **environment, pid_t parent, int output, int errors)
{
    int nothing = open("/dev/null", O_RDONLY);
    signal(SIGPIPE, SIG_DFL);        /* what it was before main.c */
    setpgid(0, 0);                   /* a terminal's Ctrl-C goes to the launcher alone, which stops the job in order */
    command_follow(parent, SIGTERM); /* a killed launcher takes the job with it */
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execve(command[0], command, environment);
    dprintf(STDERR_FILENO, "reelwright: error: cannot start %s: %s\n", command[0], strerror(errno));
    _exit(127);
}

void launch_command_free(char ***command)
{
    for (char **w = *command; w && *w; w++) free(*w);
    free(*command);
    *command = NULL;
}
