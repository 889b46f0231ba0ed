#include "keeper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/deliver/list.h"
#include "coordinator/deliver/report.h"

enum { LOOK_MS = 500, LIST_MS = 2000, REPORT_MS = 20000, SHARE = 20 /* one part in so many of the time */ };

typedef struct {
    int64_t every_ms, next_ms, version; /* version: of the ledger, when it was written last; -1: never */
} Page;

struct Keeper {
    char *folder, *list_file;
    Page list, report;
    bool complained;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop;
};

static bool must_stop(Keeper *k)
{
    pthread_mutex_lock(&k->mutex);
    bool stop = k->stop;
    pthread_mutex_unlock(&k->mutex);
    return stop;
}

static void wait_for_stop(Keeper *k)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&k->mutex);
    if (!k->stop) pthread_cond_timedwait(&k->wake, &k->mutex, &until);
    pthread_mutex_unlock(&k->mutex);
}

static Status write_list(Keeper *k, Ledger *l) { return deliver_write_list(l, k->list_file); }
static Status write_report(Keeper *k, Ledger *l) { return report_write(l, k->folder); }

/* A failure is only logged: the keeper tries again, and the run itself notices a full disk. */
static void keep(Keeper *k, Ledger *l, Page *page, Status (*write)(Keeper *k, Ledger *l))
{
    int64_t version = 0, began_ms = moment_ms();
    if (began_ms < page->next_ms) return;
    Status status = ledger_get_version(l, &version);
    if (!failed(status) && version == page->version) return;
    if (!failed(status)) status = write(k, l);
    int64_t took_ms = moment_ms() - began_ms;
    page->next_ms = moment_ms() + (took_ms * SHARE > page->every_ms ? took_ms * SHARE : page->every_ms);
    if (!failed(status)) page->version = version;
    if (failed(status) && !k->complained) log_line(LOG_WARNING, "%s; it is tried again", status.message);
    k->complained = failed(status);
}

static void *work(void *self)
{
    Keeper *k = self;
    Ledger *l = NULL;
    do {
        if (!l && failed(ledger_open(k->folder, LEDGER_READ, &l))) l = NULL;
        if (l) keep(k, l, &k->list, write_list);
        if (l && !must_stop(k)) keep(k, l, &k->report, write_report);
        wait_for_stop(k);
    } while (!must_stop(k));
    ledger_close(&l);
    return NULL;
}

static void free_all(Keeper *k)
{
    free(k->folder);
    free(k->list_file);
    free(k);
}

Status keeper_start(const char *folder, Keeper **out)
{
    Keeper *k = memory_get(1, sizeof *k);
    sigset_t all, before; /* signals are for the thread that leads the run */
    *k = (Keeper){.folder = text_copy(folder),
                  .list_file = path_join(folder, "delivery.csv"),
                  .list = {.every_ms = LIST_MS, .version = -1},
                  .report = {.every_ms = REPORT_MS, .version = -1}};
    pthread_mutex_init(&k->mutex, NULL);
    pthread_cond_init(&k->wake, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&k->thread, NULL, work, k);
    Status status = errno ? status_errno(ERR_FATAL, "cannot start a thread") : status_ok();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed(status))
        free_all(k);
    else
        *out = k;
    return status;
}

void keeper_stop(Keeper **k)
{
    if (!*k) return;
    pthread_mutex_lock(&(*k)->mutex);
    (*k)->stop = true;
    pthread_cond_signal(&(*k)->wake);
    pthread_mutex_unlock(&(*k)->mutex);
    pthread_join((*k)->thread, NULL);
    free_all(*k);
    *k = NULL;
}
