#include "serve_judge.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/html.h"
#include "common/moment.h"
#include "coordinator/watch/serve_http.h"
#include "coordinator/watch/status_page.h"
#include "trust/consent.h"

enum { TIMEOUT_S = 60, MOST_NAME = 80, MOST_HEARD = 60, LOOK_MS = 50 };

typedef struct {
    const JudgeCase *what;
    JudgeSink sink;
    ServeDoor door;
    ServeRoom room;
    Status said;       /* of the last decision; the server's thread writes it before `over` */
    bool decided;      /* only the server's thread */
    _Atomic bool over; /* nothing more can be decided, and the browser knows */
} Judge;

/* ---- what is shown ---- */

/* Browsers find out themselves what kind of video it is; they only want to know that it is one. */
static const char *type_of(const unsigned char *data, size_t bytes)
{
    static const struct {
        size_t at;
        const char *magic, *type;
    } known[] = {{4, "ftyp", "video/mp4"}, {0, "\x1a\x45\xdf\xa3", "video/webm"},
                 {8, "WAVE", "audio/wav"}, {0, "OggS", "application/ogg"},
                 {0, "ID3", "audio/mpeg"}, {0, "fLaC", "audio/flac"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t n = strlen(known[i].magic);
        if (bytes >= known[i].at + n && memcmp(data + known[i].at, known[i].magic, n) == 0) return known[i].type;
    }
    return "video/mp4";
}

static void put_form(FILE *f, const JudgeCase *w)
{
    fputs("<form id=form><label>Your name<input id=by maxlength=80 autocomplete=name value=\"", f);
    html_put(f, w->by ? w->by : "");
    fputs("\"></label><label>The code that they say<input id=heard maxlength=20 inputmode=numeric autocomplete=off>"
          "</label><button id=accept>Yes: this is ",
          f);
    html_put_apart(f, w->name);
    fputs(", and they agree</button><button id=reject type=button>No</button></form><p id=said role=alert></p>", f);
}

static void put_page(FILE *f, const Judge *j)
{
    const JudgeCase *w = j->what;
    fputs("<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
          "content=\"width=device-width, initial-scale=1\"><title>Verify a recording</title>"
          "<link rel=stylesheet href=/style.css><link rel=stylesheet href=/judge.css>"
          "<script src=/judge.js defer></script></head>",
          f);
    fprintf(f, "<body data-secret=\"%s\"><main><h1>Is this ", j->door.secret);
    html_put_apart(f, w->name);
    fputs("?</h1><p>Play the recording. It must show the person of the picture, saying one of these sentences. What "
          "stands here as lines is a code of six digits: type the one that you hear.</p><blockquote lang=en>",
          f);
    html_put(f, w->sentence[0]);
    fputs("</blockquote><blockquote lang=de>", f);
    html_put(f, w->sentence[1]);
    fputs("</blockquote><div class=pair><figure><video id=recording src=/recording controls playsinline "
          "preload=auto></video><figcaption>the recording</figcaption></figure><figure>",
          f);
    if (w->face) fputs("<img id=face src=/face alt=\"the face that is stored\">", f);
    fprintf(f, "<figcaption>%s</figcaption></figure></div>",
            w->face ? "the face that is stored" : "no face is stored: only a voice");
    put_form(f, w);
    fputs("</main></body></html>", f);
}

static enum MHD_Result show_page(const Judge *j, struct MHD_Connection *c)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) abort();
    put_page(f, j);
    fclose(f);
    const enum MHD_Result done = serve_http_answer(c, MHD_HTTP_OK, "text/html; charset=utf-8", text, bytes);
    free(text);
    return done;
}

/* ---- requests ---- */

static bool is_name(const char *by) { return by[strspn(by, " ")] && strlen(by) <= MOST_NAME && trust_word_valid(by); }

static enum MHD_Result take_decision(Judge *j, struct MHD_Connection *c, const ServeBody *b)
{
    static const char expected[] = "expected {by, heard, good}: who judges, the code that was heard, the verdict\n";
    enum MHD_Result done = MHD_NO;
    bool over = false;
    if (j->decided) return serve_http_refuse(c, MHD_HTTP_CONFLICT, "it is decided already\n");
    if (!serve_door_has_secret(&j->door, c)) return serve_http_refuse(c, MHD_HTTP_FORBIDDEN, "load the page again\n");
    json_t *wish = serve_body_object(b, c, &done, expected), *good = json_object_get(wish, "good");
    if (!wish) return done;
    const char *by = json_string_value(json_object_get(wish, "by")),
               *heard = json_string_value(json_object_get(wish, "heard"));
    if (by && !is_name(by)) {
        json_decref(wish);
        return serve_http_refuse(c, MHD_HTTP_BAD_REQUEST,
                                 "who judges? Expected a name of at most 80 bytes in one line, "
                                 "without control characters\n");
    }
    if (!by || !json_is_boolean(good) || !heard || strlen(heard) > MOST_HEARD || (json_is_true(good) && !*heard)) {
        json_decref(wish);
        return serve_http_refuse(c, MHD_HTTP_BAD_REQUEST, expected);
    }
    j->said = j->sink.decide(j->sink.self, by, heard, json_is_true(good), &over);
    j->decided = over;
    json_decref(wish);
    return serve_http_json(c, json_pack("{s:s,s:b,s:b}", "message",
                                        failed(j->said) ? j->said.message : "Verified, and kept, encrypted.",
                                        "verified", !failed(j->said), "over", over));
}

static enum MHD_Result get(Judge *j, struct MHD_Connection *c, const char *url)
{
    const ServeText *text = serve_text_find(serve_judge_text, url);
    if (!text) text = serve_text_find(status_page_text, url); /* the style that both pages have */
    if (text) return serve_http_text(c, text);
    if (strcmp(url, "/") == 0) return show_page(j, c);
    if (strcmp(url, "/recording") == 0)
        return serve_http_memory(c, j->what->recording, j->what->recording_bytes,
                                 type_of(j->what->recording, j->what->recording_bytes));
    if (strcmp(url, "/face") == 0 && j->what->face)
        return serve_http_memory(c, j->what->face, j->what->face_bytes, "image/png");
    if (strcmp(url, "/favicon.ico") == 0) return serve_http_answer(c, MHD_HTTP_NO_CONTENT, NULL, "", 0);
    return serve_http_refuse(c, MHD_HTTP_NOT_FOUND, "no such page\n");
}

static enum MHD_Result take(void *self, struct MHD_Connection *c, const char *url, const char *method,
                            const char *version, const char *data, size_t *bytes, void **request)
{
    Judge *j = self;
    const bool post = strcmp(method, "POST") == 0, read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    (void)version;
    if (serve_body_comes(request, SERVE_MOST_BODY, data, bytes)) return MHD_YES;
    if (!serve_door_is_own(c))
        return serve_http_refuse(c, MHD_HTTP_FORBIDDEN, "ask for localhost, and not from another site\n");
    if (read && strcmp(url, "/") == 0 && serve_http_argument(c, "token")) return serve_door_let_in(&j->door, c);
    if (!serve_door_is_in(&j->door, c))
        return serve_http_refuse(c, MHD_HTTP_FORBIDDEN, "use the address that was printed\n");
    serve_room_vouch(&j->room, c);
    if (post && strcmp(url, "/decide") == 0) return take_decision(j, c, *request);
    return read ? get(j, c, url) : serve_http_refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET, or POST /decide\n");
}

static void end(void *self, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode how)
{
    Judge *j = self;
    serve_body_end(NULL, c, request, how);
    if (j->decided) j->over = true; /* the answer is out */
}

/* ---- start and stop ---- */

static struct MHD_Daemon *start_daemon(Judge *j, int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sigset_t all, before;
    sigfillset(&all); /* signals are for the thread that waits */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, take, j, MHD_OPTION_SOCK_ADDR, &to, MHD_OPTION_NOTIFY_COMPLETED,
        end, j, MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVE_MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)TIMEOUT_S, MHD_OPTION_NOTIFY_CONNECTION, serve_room_keep, &j->room, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return d;
}

Status serve_judge(const JudgeCase *what, JudgeSink sink, int port)
{
    Judge j = {.what = what, .sink = sink, .door = {.once = true}};
    TRY(serve_door_make(&j.door));
    moment_catch_stops();
    serve_room_init(&j.room);
    struct MHD_Daemon *d = start_daemon(&j, port);
    const union MHD_DaemonInfo *info = d ? MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        Status why = status_errno(ERR_INPUT, "--port %d: cannot listen there", port);
        if (d) MHD_stop_daemon(d);
        serve_room_clear(&j.room);
        return why;
    }
    serve_door_set_port(&j.door, info->port);
    foreign_print(stdout,
                  "Open this in a browser on this machine, once; Ctrl-C ends it:\nhttp://127.0.0.1:%d/?token=%s\n",
                  info->port, j.door.token);
    fflush(stdout);
    while (!j.over && moment_stops() == 0) moment_sleep_ms(LOOK_MS);
    MHD_stop_daemon(d);
    serve_room_clear(&j.room);
    return j.decided ? j.said : status_fail(ERR_INPUT, "nobody has judged it");
}
