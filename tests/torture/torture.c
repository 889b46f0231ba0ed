/* torture.c - every fallible call made to fail in turn: for each operation and each kind of call, the first fails, then the second,
 * and so on, each time in a process of its own. Then it must hold that
 * - the operation returns a Status that says something, or succeeds with the right result (a call whose failure does not matter);
 * - no half-written file is left, no file is open, and under the address sanitizer nothing has leaked;
 * - the same operation, tried again in the same process, succeeds.
 * A small allocation that fails ends the process (memory_get aborts, see common/file.h): then the next process must succeed.
 *
 *     torture [OPERATION [KIND NTH]]     REELWRIGHT_TORTURE=all makes every call fail, not a sample of the long operations'.
 *                                        With KIND and NTH that one try, in this process: for a debugger */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "common/file.h"
#include "common/log.h"
#include "operations.h"

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

typedef enum { NOT_REACHED, REFUSED, SUCCEEDED, WRONG } Verdict; /* a child's exit status */

static struct { /* what a child tells besides */
    int64_t calls;
    char who[64], message[512];
} * told;

static const char *const kind_name[KINDS] = {"memory", "files", "SQLite", "HDF5", "libav", "MPI"};

/* ---- the working folder ---- */

static int drafts;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag;
    return at->level > 0 ? remove(path) : 0;
}

static int count_draft(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    drafts += strstr(path, ".draft.") != NULL;
    return 0;
}

static void empty_folder(void) { nftw(".", remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static int count_drafts(void)
{
    drafts = 0;
    nftw(".", count_draft, 16, FTW_PHYS);
    return drafts;
}

static int count_open_files(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n;
}

/* ---- in the child ---- */

static int wrong(const char *what, const char *message)
{
    snprintf(told->message, sizeof told->message, "%s: %s", what, message);
    return WRONG;
}

static int try_once(const Operation *o, CallKind kind, int64_t nth)
{
    const char *who = NULL;
    int drafts_before = count_drafts(); /* of a process that ended */
    calls_arm(kind, nth);
    Status status = o->run();
    told->calls = calls_disarm();
    bool reached = calls_failed(&who);
    snprintf(told->who, sizeof told->who, "%s", who ? who : "");
    if (!reached && failed(status)) return wrong("failed undisturbed", status.message);
    if (failed(status) && !status.message[0]) return wrong("failed", "and does not say why");
    if (count_drafts() > drafts_before) return wrong("left a draft", status.message);
    bool refused = failed(status);
    snprintf(told->message, sizeof told->message, "%s", status.message);
    if (!refused) status = o->verify();
    if (failed(status) && !refused) return wrong("succeeded", status.message);
    return !reached ? NOT_REACHED : refused ? REFUSED : SUCCEEDED;
}

static int child(const Operation *o, CallKind kind, int64_t nth)
{
    char message[sizeof told->message];
    int before = count_open_files();
    int verdict = try_once(o, kind, nth);
    if (verdict == WRONG || verdict == NOT_REACHED) return verdict;
    memcpy(message, told->message, sizeof message);
    Status status = o->run();
    if (!failed(status)) status = o->verify();
    if (failed(status)) return wrong("failed when it was tried again", status.message);
    if (count_open_files() != before && kind != MPI && strcmp(o->name, "link") != 0)
        return wrong("left a file open", message);
    if (__lsan_do_recoverable_leak_check && kind != MPI && strcmp(o->name, "link") != 0 &&
        __lsan_do_recoverable_leak_check())
        return wrong("leaked", message);
    memcpy(told->message, message, sizeof message);
    return verdict;
}

/* ---- in the parent ---- */

static int spawn(const Operation *o, CallKind kind, int64_t nth)
{
    int how;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int nothing = __lsan_do_recoverable_leak_check ? -1 : open("/dev/null", O_WRONLY);
        if (nothing >= 0) dup2(nothing, STDERR_FILENO), close(nothing); /* every failure says so there too */
        _exit(child(o, kind, nth));
    }
    if (pid < 0 || waitpid(pid, &how, 0) != pid) abort();
    return how;
}

typedef struct {
    int refused, succeeded, ended;
} Tally;

static bool one_try(const Operation *o, CallKind kind, int64_t nth, Tally *t)
{
    empty_folder();
    o->prepare();
    memset(told, 0, sizeof *told);
    int how = spawn(o, kind, nth);
    bool ended = WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT && kind == MEMORY;
    if (ended) { /* by memory_get: a new process takes up the work */
        how = spawn(o, kind, 0);
        if (WIFEXITED(how) && WEXITSTATUS(how) == NOT_REACHED) return t->ended++, true;
    }
    int verdict = WIFEXITED(how) ? WEXITSTATUS(how) : WRONG;
    t->refused += verdict == REFUSED;
    t->succeeded += verdict == SUCCEEDED;
    if (verdict == REFUSED || verdict == SUCCEEDED) {
        if (getenv("REELWRIGHT_TORTURE"))
            printf("    %s %s %lld: %s%s %s\n", o->name, kind_name[kind], (long long)nth, told->who,
                   verdict == REFUSED ? ":" : " does not matter", verdict == REFUSED ? told->message : "");
        return true;
    }
    fprintf(stderr, "FAILED: %s: call %lld of %s (%s) fails: %s%s\n", o->name, (long long)nth, kind_name[kind],
            told->who, WIFSIGNALED(how) ? "killed by signal " : told->message,
            WIFSIGNALED(how) ? strsignal(WTERMSIG(how)) : "");
    return false;
}

static int64_t count_calls(const Operation *o, CallKind kind)
{
    empty_folder();
    o->prepare();
    memset(told, 0, sizeof *told);
    int how = spawn(o, kind, 0);
    if (WIFEXITED(how) && WEXITSTATUS(how) == NOT_REACHED) return told->calls;
    fprintf(stderr, "FAILED: %s, undisturbed: %s\n", o->name, told->message);
    return -1;
}

static bool torture(const Operation *o, CallKind kind)
{
    int64_t calls = count_calls(o, kind), tries = calls;
    Tally t = {0};
    bool good = calls >= 0;
    if (!getenv("REELWRIGHT_TORTURE") && tries > o->most) tries = o->most;
    for (int64_t i = 0; i < tries; i++) good &= one_try(o, kind, 1 + i * calls / tries, &t);
    printf("%-17s %-7s %5lld calls, %4lld made to fail: %d refused, %d of no matter, %d ended the process\n", o->name,
           kind_name[kind], (long long)calls, (long long)tries, t.refused, t.succeeded, t.ended);
    return good;
}

static int one_in_this_process(const Operation *o, const char *kind, const char *nth)
{
    int k = 0;
    while (k < KINDS && strcmp(kind_name[k], kind) != 0) k++;
    if (k == KINDS) return 2;
    o->prepare();
    int verdict = child(o, (CallKind)k, strtoll(nth, NULL, 10));
    printf("%s: %d: %s\n", told->who, verdict, told->message);
    return verdict == WRONG;
}

int main(int argc, char **argv)
{
    char memory[] = "/dev/shm/reelwright-torture-XXXXXX", disk[] = "/tmp/reelwright-torture-XXXXXX";
    char *folder = access("/dev/shm", W_OK) == 0 ? memory : disk; /* a thousand ledgers, each with its fsyncs */
    bool good = true, any = false;
    log_set_level(LOG_ERROR);
    setenv("OMPI_MCA_opal_signal", "11", 1); /* no stack of an abort that is expected */
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED || !mkdtemp(folder) || chdir(folder) != 0) return 1;
    for (int i = 0; i < operation_count; i++) {
        bool wanted = argc < 2 || strcmp(argv[1], operations[i].name) == 0;
        any |= wanted;
        if (wanted && argc == 4) return one_in_this_process(&operations[i], argv[2], argv[3]);
        for (int kind = 0; wanted && kind < KINDS; kind++)
            if (operations[i].kinds >> kind & 1) good &= torture(&operations[i], (CallKind)kind);
    }
    empty_folder();
    rmdir(folder);
    if (!any) fprintf(stderr, "torture: no operation \"%s\"\n", argv[1]);
    return good && any ? 0 : 1;
}
