#include "serve_review.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "coordinator/watch/serve_http.h"

enum {
    THREADS = 4,
    TIMEOUT_S = 15,
    MOST_BODY = 4 << 20,
    MOST_CLIPS = 20000,
    MOST_REVIEWERS = 32,
    MOST_WHERE = 16,
    MOST_NAME = 80,
    MOST_REASON = 500
};

struct ReviewServer {
    struct MHD_Daemon *daemon;
    char *folder;
    ReviewHost host;
    int port;
    ServeRoom room;
    char secret[SERVE_SECRET_TEXT];
    pthread_mutex_t mutex; /* of what follows */
    char token[SERVE_SECRET_TEXT], session[MOST_REVIEWERS][SERVE_SECRET_TEXT];
    int sessions;
};

/* ---- what is shown --------------------------------------------------------------------------------------------------------- */

static enum MHD_Result answer_failure(struct MHD_Connection *c, unsigned code, Status why)
{
    return serve_http_refuse(c, why.err == ERR_INPUT ? code : MHD_HTTP_INTERNAL_SERVER_ERROR, why.message);
}

static const char *argument(struct MHD_Connection *c, const char *name)
{
    const char *text = serve_http_argument(c, name);
    return text ? text : "";
}

typedef struct {
    const char *where[MOST_WHERE];
    int count;
} Where;

static enum MHD_Result take_where(void *self, enum MHD_ValueKind kind, const char *key, const char *value)
{
    Where *w = self;
    (void)kind;
    if (strcmp(key, "where") == 0 && value && w->count < MOST_WHERE) w->where[w->count++] = value;
    return MHD_YES;
}

static enum MHD_Result show_clips(const ReviewServer *s, struct MHD_Connection *c)
{
    Where w = {.count = 0};
    json_t *all = NULL;
    MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, take_where, &w);
    const ReviewSearch search = {w.where, w.count, argument(c, "text"), argument(c, "seen")};
    Status status = serve_review_list(s->folder, &search, s->secret, &all);
    if (failed(status)) return answer_failure(c, MHD_HTTP_BAD_REQUEST, status);
    return all ? serve_http_json(c, all) : serve_http_answer(c, MHD_HTTP_NO_CONTENT, NULL, "", 0);
}

static enum MHD_Result show_clip(const ReviewServer *s, struct MHD_Connection *c)
{
    ReviewClip clip;
    Status status = serve_review_clip(s->folder, argument(c, "id"), &clip);
    const enum MHD_Result done =
        failed(status) ? answer_failure(c, MHD_HTTP_NOT_FOUND, status) : serve_http_json(c, json_incref(clip.details));
    serve_review_clear(&clip);
    return done;
}

static enum MHD_Result show_file(const ReviewServer *s, struct MHD_Connection *c)
{
    const char *wanted = argument(c, "what");
    ReviewClip clip;
    int i = 0;
    while (i < REVIEW_FILES && strcmp(wanted, serve_review_file[i][0]) != 0) i++;
    if (i == REVIEW_FILES)
        return serve_http_refuse(c, MHD_HTTP_NOT_FOUND, "what: video, thumbnail, sheet or earlier\n");
    Status status = serve_review_clip(s->folder, argument(c, "id"), &clip);
    const enum MHD_Result done = failed(status)
                                     ? answer_failure(c, MHD_HTTP_NOT_FOUND, status)
                                     : serve_http_file(c, s->folder, clip.file[i], serve_review_file[i][1], false);
    serve_review_clear(&clip);
    return done;
}

/* ---- decisions --------------------------------------------------------------------------------------------------------------- */

typedef struct { /* texts borrowed from the wish */
    char verb[32];
    LedgerRequest *request;
    RequestAnswer *answer;
    int64_t count;
} Wish;

static void clear_wish(Wish *w)
{
    free(w->request);
    free(w->answer);
}

static char *text_in(const json_t *wish, const char *key)
{
    const char *text = json_string_value(json_object_get(wish, key));
    return (char *)(uintptr_t)(text ? text : "");
}

static const char expected[] = "expected {verb, clips, seen, by, reason}\n";

/* NULL, or what is wrong with it. */
static const char *read_wish(const json_t *j, Wish *w)
{
    static const char *const known[] = {"approve", "reject", "rerender", "reopen"};
    const json_t *clips = json_object_get(j, "clips"), *seen = json_object_get(j, "seen");
    const char *verb = text_in(j, "verb");
    char *by = text_in(j, "by"), *reason = text_in(j, "reason");
    bool good = false;
    *w = (Wish){.count = (int64_t)json_array_size(clips)};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) good = good || strcmp(verb, known[i]) == 0;
    if (!good || !json_is_array(clips) || json_array_size(seen) != (size_t)w->count || w->count > MOST_CLIPS)
        return expected;
    if (!by[strspn(by, " ")] || strlen(by) > MOST_NAME) return "who decides? Expected a name of at most 80 bytes\n";
    if (strlen(reason) > MOST_REASON) return "the reason: expected at most 500 bytes\n";
    if (!foreign_is_line(by) || !foreign_is_line(reason))
        return "name and reason: expected one line without control characters\n";
    if (strcmp(verb, "reject") == 0 && !reason[strspn(reason, " ")]) return "a rejection needs a reason\n";
    snprintf(w->verb, sizeof w->verb, "review %s", verb);
    w->request = memory_get((size_t)w->count + 1, sizeof *w->request);
    w->answer = memory_get((size_t)w->count + 1, sizeof *w->answer);
    for (int64_t i = 0; i < w->count; i++) {
        const json_t *clip = json_array_get(clips, (size_t)i), *was = json_array_get(seen, (size_t)i);
        if (!json_is_string(clip) || !*json_string_value(clip) || !json_is_string(was)) return "clips, seen: texts\n";
        w->request[i] = (LedgerRequest){.verb = w->verb,
                                        .clip_id = (char *)(uintptr_t)json_string_value(clip),
                                        .filter = (char *)(uintptr_t) "",
                                        .reviewer = by,
                                        .reason = reason,
                                        .seen = (char *)(uintptr_t)json_string_value(was)};
    }
    return NULL;
}

/* {"answers": {ID: "done"...}}; the page reads the list anew for the rest. */
static enum MHD_Result decide(const ReviewServer *s, struct MHD_Connection *c, Wish *w)
{
    static const char *const name[OUTCOMES] = {"open", "done", "noted", "other", "nothing"};
    Status status = s->host.decide(s->host.self, w->request, w->count, w->answer);
    if (failed(status)) return answer_failure(c, MHD_HTTP_CONFLICT, status);
    json_t *answers = json_object();
    for (int64_t i = 0; i < w->count; i++)
        json_object_set_new(answers, w->request[i].clip_id, json_string(name[w->answer[i].outcome]));
    return serve_http_json(c, json_pack("{s:o}", "answers", answers));
}

static bool has_secret(const ReviewServer *s, struct MHD_Connection *c)
{
    return serve_secret_is(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Review"), s->secret);
}

static enum MHD_Result take_decision(const ReviewServer *s, struct MHD_Connection *c, const ServeBody *b)
{
    enum MHD_Result done;
    Wish w;
    if (!has_secret(s, c)) return serve_http_refuse(c, MHD_HTTP_FORBIDDEN, "load the page again\n");
    if (!serve_review_can_decide(s->folder))
        return serve_http_refuse(c, MHD_HTTP_CONFLICT, "the campaign's folder can only be read\n");
    json_t *j = serve_body_object(b, c, &done, expected);
    if (!j) return done;
    const char *wrong = read_wish(j, &w);
    done = wrong ? serve_http_refuse(c, MHD_HTTP_BAD_REQUEST, wrong) : decide(s, c, &w);
    clear_wish(&w);
    json_decref(j);
    return done;
}

/* ---- requests ------------------------------------------------------------------------------------------------------------------ */

static bool is_own(const ReviewServer *s, const char *text, const char *before)
{
    static const char *const host[] = {"127.0.0.1", "localhost"};
    char own[64];
    for (size_t i = 0; i < sizeof host / sizeof *host; i++) {
        snprintf(own, sizeof own, "%s%s:%d", before, host[i], s->port);
        if (text && strcasecmp(text, own) == 0) return true;
    }
    return false;
}

/* Browsers keep cookies by host, whatever the port: each server has its own name for it. */
static void name_cookie(const ReviewServer *s, char name[32]) { snprintf(name, 32, "review%d", s->port); }

static bool is_inside(ReviewServer *s, struct MHD_Connection *c)
{
    char name[32];
    bool found = false;
    name_cookie(s, name);
    const char *cookie = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, name);
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->sessions; i++) found = serve_secret_is(cookie, s->session[i]) || found;
    pthread_mutex_unlock(&s->mutex);
    return found;
}

/* A token is good for one browser; then there is another one. */
static bool enter(ReviewServer *s, const char *token, char session[SERVE_SECRET_TEXT])
{
    pthread_mutex_lock(&s->mutex);
    const bool good = s->sessions < MOST_REVIEWERS && serve_secret_is(token, s->token) &&
                      serve_secret_make(s->session[s->sessions]) && serve_secret_make(s->token);
    if (good) memcpy(session, s->session[s->sessions++], SERVE_SECRET_TEXT);
    pthread_mutex_unlock(&s->mutex);
    return good;
}

static enum MHD_Result let_in(ReviewServer *s, struct MHD_Connection *c)
{
    char name[32], session[SERVE_SECRET_TEXT];
    if (!enter(s, argument(c, "token"), session))
        return serve_http_refuse(c, MHD_HTTP_FORBIDDEN,
                                 "this address works once; `reelwright review` has printed a new one\n");
    char *next = serve_review_address(s);
    if (s->host.entered) s->host.entered(s->host.self, next);
    free(next);
    name_cookie(s, name);
    return serve_http_enter(c, name, session);
}

static enum MHD_Result get(ReviewServer *s, struct MHD_Connection *c, const char *url)
{
    const ServeText *text = serve_text_find(serve_review_text, url);
    if (text) return serve_http_text(c, text);
    if (strcmp(url, "/clip.json") == 0) return show_clip(s, c);
    if (strcmp(url, "/file") == 0) return show_file(s, c);
    if (strcmp(url, "/clips.json") == 0) return show_clips(s, c);
    if (strcmp(url, "/favicon.ico") == 0)
        return serve_http_answer(c, MHD_HTTP_NO_CONTENT, NULL, "", 0); /* browsers ask for it */
    return serve_http_refuse(c, MHD_HTTP_NOT_FOUND, "no such page\n");
}

static enum MHD_Result count_host(void *self, enum MHD_ValueKind kind, const char *key, const char *value)
{
    int *count = self;
    (void)kind, (void)value;
    *count += strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0;
    return MHD_YES;
}

/* NULL: it may go on; else why not. A page of another site has its own Origin; a name that leads here (DNS rebinding) its own Host. */
static const char *find_stranger(ReviewServer *s, struct MHD_Connection *c)
{
    int hosts = 0;
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_host, &hosts);
    if (hosts != 1 || !is_own(s, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST), ""))
        return "ask for 127.0.0.1\n";
    return origin && !is_own(s, origin, "http://") ? "not from another site\n" : NULL;
}

static enum MHD_Result take(void *self, struct MHD_Connection *c, const char *url, const char *method,
                            const char *version, const char *data, size_t *bytes, void **request)
{
    ReviewServer *s = self;
    const bool post = strcmp(method, "POST") == 0, read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    const char *stranger = find_stranger(s, c);
    (void)version;
    const bool wanted = post && !stranger && is_inside(s, c) && has_secret(s, c);
    if (serve_body_comes(request, wanted ? MOST_BODY : 0, data, bytes)) return MHD_YES;
    if (stranger) return serve_http_refuse(c, MHD_HTTP_FORBIDDEN, stranger);
    if (read && strcmp(url, "/") == 0 && *argument(c, "token")) return let_in(s, c);
    if (!is_inside(s, c))
        return serve_http_refuse(c, MHD_HTTP_FORBIDDEN, "use the address that `reelwright review` printed\n");
    serve_room_vouch(&s->room, c);
    if (post && strcmp(url, "/decide") == 0) return take_decision(s, c, *request);
    return read ? get(s, c, url) : serve_http_refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET, or POST /decide\n");
}

/* ---- start and stop -------------------------------------------------------------------------------------------------------------- */

static struct MHD_Daemon *start_daemon(ReviewServer *s, int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sigset_t all, before;
    /* The library divides its limit among the threads and hangs up where one of them is full; what counts is the room's. */
    sigfillset(&all); /* signals are for the thread that waits for them */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, take, s, MHD_OPTION_SOCK_ADDR, &to, MHD_OPTION_NOTIFY_COMPLETED,
        serve_body_end, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)(THREADS * SERVE_MOST_CONNECTIONS),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
        MHD_OPTION_NOTIFY_CONNECTION, serve_room_keep, &s->room, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return d;
}

Status serve_review_start(const char *folder, int port, ReviewHost host, ReviewServer **out)
{
    ReviewServer *s = *out = memory_get(1, sizeof *s);
    s->folder = text_copy(folder);
    s->host = host;
    pthread_mutex_init(&s->mutex, NULL);
    serve_room_init(&s->room);
    if (serve_secret_make(s->token) && serve_secret_make(s->secret)) s->daemon = start_daemon(s, port);
    const union MHD_DaemonInfo *info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        Status why = status_errno(ERR_INPUT, "--port %d: cannot listen there", port);
        serve_review_stop(out);
        return why;
    }
    s->port = info->port;
    return status_ok();
}

void serve_review_stop(ReviewServer **s)
{
    if (!*s) return;
    if ((*s)->daemon) MHD_stop_daemon((*s)->daemon);
    pthread_mutex_destroy(&(*s)->mutex);
    serve_room_clear(&(*s)->room);
    free((*s)->folder);
    free(*s);
    *s = NULL;
}

char *serve_review_address(ReviewServer *s)
{
    pthread_mutex_lock(&s->mutex);
    char *text = text_format("http://127.0.0.1:%d/?token=%s", s->port, s->token);
    pthread_mutex_unlock(&s->mutex);
    return text;
}
