#include "team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/file.h"

enum { MOST_THREADS = 64 };

typedef struct {
    Status (*task)(void *self, int number);
    void *self;
    int count;
    atomic_int next;
    pthread_mutex_t lock;
    int bad; /* the lowest task that failed so far; count: none */
    ErrClass err;
    int error;
    char *message; /* a Status' text is its thread's */
} Team;

static void note_failure(Team *t, int number, Status status)
{
    atomic_store(&t->next, t->count);
    pthread_mutex_lock(&t->lock);
    if (number < t->bad) {
        t->bad = number;
        t->err = status.err;
        t->error = status.error;
        free(t->message);
        t->message = text_copy(status.message);
    }
    pthread_mutex_unlock(&t->lock);
}

static void *work(void *self)
{
    Team *t = self;
    for (int number; (number = atomic_fetch_add(&t->next, 1)) < t->count;) {
        Status status = t->task(t->self, number);
        if (failed(status)) note_failure(t, number, status);
    }
    return NULL;
}

Status team_do(int threads, int count, Status (*task)(void *self, int number), void *self)
{
    Team t = {.task = task, .self = self, .count = count, .bad = count};
    pthread_t helper[MOST_THREADS];
    int helpers = 0, wanted = (threads < count ? threads : count) - 1;
    pthread_mutex_init(&t.lock, NULL);
    while (helpers < wanted && helpers < MOST_THREADS && pthread_create(&helper[helpers], NULL, work, &t) == 0)
        helpers++;
    work(&t);
    for (int i = 0; i < helpers; i++) pthread_join(helper[i], NULL);
    pthread_mutex_destroy(&t.lock);
    if (t.bad == count) return status_ok();
    Status status = status_fail(t.err, "%s", t.message);
    status.error = t.error;
    free(t.message);
    return status;
}
