#include "tail.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/provoke.h"
#include "worker/render/loaded.h"

struct Tail {
    BackendOptions backend;
    pthread_t thread;
    /* the thread's own */
    Loaded loaded;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool works, has_result, over, gives_back;
    const char *stop; /* NULL: go on */
    Ending ending;
    Diary diary;
    TailNews news;
    bool is_news;
    int64_t held_bytes;
};

/* ---- the thread ---- */

/* By the main thread, or by a signal, which that one tells of at its next look: until then no frame more is made. */
static const char *why_stopped(Tail *t)
{
    pthread_mutex_lock(&t->lock);
    const char *why = t->stop;
    pthread_mutex_unlock(&t->lock);
    return why || moment_stops() == 0 ? why : "stopped while it was decoded";
}

static bool hold_is_over(void *self) { return why_stopped(self) != NULL; }

static Status between_frames(void *self, const char *stage, int done, int total)
{
    Tail *t = self;
    diary_progress(&t->diary, stage, done, total);
    pthread_mutex_lock(&t->lock);
    snprintf(t->news.stage, sizeof t->news.stage, "%s", stage);
    t->news.done = done;
    t->news.total = total;
    t->is_news = true;
    pthread_mutex_unlock(&t->lock);
    TRY(provoke_at(stage, NULL, done));
    const char *why = why_stopped(t);
    return why ? status_fail(ERR_STOP, "%s", why) : status_ok();
}

/* The worker has compared the model's files with the campaign's hash, when it opened its own engine. */
static Status need_engine(Tail *t, const Lease *l)
{
    if (loaded_holds(&t->loaded, l)) return status_ok();
    loaded_close(&t->loaded);
    TRY(engine_open_decoder(l->model_folder, &t->backend, &t->loaded.engine));
    loaded_note(&t->loaded, l);
    return status_ok();
}

static double thread_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void do_ending(Tail *t)
{
    Ending *x = &t->ending;
    provoke_set_clip_of_thread(x->lease->clip_id);
    log_copy_of_thread_to(t->diary.book);
    Status status = need_engine(t, x->lease);
    if (failed(status)) {
        render_latents_free(&x->latents);
        ending_report(&x->result, x->lease, status, figures_end(&x->figures));
    } else
        ending_make(x, t->loaded.engine, t->backend.threads, thread_s, (Progress){between_frames, t});
    log_copy_of_thread_to(NULL);
    diary_end(&t->diary, &x->result);
}

static void *work(void *self)
{
    Tail *t = self;
    provoke_set_hold(hold_is_over, t);
    pthread_mutex_lock(&t->lock);
    while (t->works || !t->over) {
        if (!t->works && !t->gives_back) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        const bool works = t->works;
        pthread_mutex_unlock(&t->lock);
        if (works)
            do_ending(t);
        else
            loaded_close(&t->loaded);
        pthread_mutex_lock(&t->lock);
        t->held_bytes = t->loaded.engine ? engine_held_bytes(t->loaded.engine) : 0;
        if (works)
            t->works = false, t->has_result = true;
        else
            t->gives_back = false;
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* ---- the worker's side ---- */

Tail *tail_new(const BackendOptions *o)
{
    Tail *t = memory_get(1, sizeof *t);
    sigset_t all, before;
    t->backend = *o;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    sigfillset(&all); /* signals are the main thread's: they end its waits early */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&t->thread, NULL, work, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) return t;
    free(t);
    return NULL;
}

void tail_free(Tail **tail)
{
    Tail *t = *tail;
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    t->over = true;
    if (!t->stop) t->stop = "the worker ends";
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    if (t->has_result) ending_clear(&t->ending);
    loaded_close(&t->loaded);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
    *tail = NULL;
}

void tail_begin(Tail *t, Ending *x, Diary *diary)
{
    pthread_mutex_lock(&t->lock);
    t->ending = *x;
    t->diary = *diary;
    t->stop = NULL;
    t->is_news = false;
    t->works = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    *x = (Ending){0};
    *diary = (Diary){0};
}

void tail_stop(Tail *t, const char *why)
{
    pthread_mutex_lock(&t->lock);
    if (t->works && !t->stop) t->stop = why;
    pthread_mutex_unlock(&t->lock);
}

bool tail_hear(Tail *t, TailNews *news)
{
    pthread_mutex_lock(&t->lock);
    const bool is_news = t->is_news;
    t->is_news = false;
    *news = t->news;
    pthread_mutex_unlock(&t->lock);
    return is_news;
}

bool tail_take(Tail *t, Ending *out)
{
    pthread_mutex_lock(&t->lock);
    const bool has_result = t->has_result;
    t->has_result = false;
    if (has_result) {
        *out = t->ending;
        t->ending = (Ending){0};
    }
    pthread_mutex_unlock(&t->lock);
    return has_result;
}

int64_t tail_held_bytes(Tail *t)
{
    pthread_mutex_lock(&t->lock);
    const int64_t bytes = t->held_bytes;
    pthread_mutex_unlock(&t->lock);
    return bytes;
}

void tail_give_back(Tail *t)
{
    pthread_mutex_lock(&t->lock);
    t->gives_back = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}
