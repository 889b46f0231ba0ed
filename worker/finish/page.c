#include "page.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base64.h"
#include "common/file.h"
#include "common/html.h"
#include "common/page.h"
#include "worker/finish/label.h"

/* What is said of a clip, in the language that is spoken in it. */
static const struct {
    const char *language, *name, *disclosure;
} said[] = {{"en", "English", "This video was made with AI."},
            {"de", "Deutsch", "Dieses Video wurde mit KI erstellt."},
            {"fr", "Français", "Cette vidéo a été créée avec l’IA."},
            {"es", "Español", "Este vídeo se ha creado con IA."},
            {"it", "Italiano", "Questo video è stato creato con l’IA."},
            {"nl", "Nederlands", "Deze video is met AI gemaakt."},
            {"pl", "Polski", "To wideo powstało przy użyciu AI."},
            {"pt", "Português", "Este vídeo foi criado com IA."},
            {"zh", "中文", "本视频由AI生成。"},
            {"ja", "日本語", "この動画はAIで作成されました。"}};
enum { SAID = (int)(sizeof said / sizeof *said) };

static int said_in(const char *language) /* "de-AT" is "de"; -1: no language that we know */
{
    for (int i = 0; language && i < SAID; i++) {
        const size_t n = strlen(said[i].language);
        if (strncasecmp(language, said[i].language, n) == 0 && (language[n] == 0 || language[n] == '-')) return i;
    }
    return -1;
}

static bool is_kind(const PageFile *f, const char *kind)
{
    return strcmp(*f->rendition->kind ? f->rendition->kind : "video", kind) == 0;
}

static const PageFile *first_of(const Page *p, const char *kind)
{
    for (int i = 0; i < p->file_count; i++)
        if (is_kind(&p->file[i], kind)) return &p->file[i];
    return NULL;
}

static const char *poster_of(const Page *p)
{
    const PageFile *poster = first_of(p, "poster");
    return poster ? poster->name : p->thumbnail;
}

/* ---- markup ---- */

static bool is_wide(const PageFile *f) { return f->width > f->height; }

/* A browser takes the first source that fits and that it can play: the widest for a wide window, then the others in the campaign's order. */
static void put_sources(FILE *to, const Page *p)
{
    const PageFile *wide = NULL;
    bool upright = false;
    for (int i = 0; i < p->file_count; i++) {
        if (!is_kind(&p->file[i], "video")) continue;
        if (is_wide(&p->file[i]) && (!wide || p->file[i].width > wide->width)) wide = &p->file[i];
        upright = upright || !is_wide(&p->file[i]);
    }
    if (!upright) wide = NULL;
    for (int i = wide ? -1 : 0; i < p->file_count; i++) {
        const PageFile *f = i < 0 ? wide : &p->file[i];
        if ((i >= 0 && f == wide) || !is_kind(f, "video")) continue;
        fputs("<source ", to);
        if (i < 0) fputs("media=\"(orientation: landscape)\" ", to);
        fputs("src=\"", to);
        html_put_address(to, f->name);
        fputs("\" type=\"video/mp4\">", to);
    }
}

/* In the page itself: a page that is opened from a disk may not load a track from there. */
static void put_track(FILE *to, const Page *p)
{
    if (!p->captions_vtt) return;
    const int known = said_in(p->language);
    char *base64 = base64_text(p->captions_vtt, strlen(p->captions_vtt));
    fputs("<track kind=\"captions\" default srclang=\"", to);
    html_put(to, p->language ? p->language : "en");
    fputs("\" label=\"", to);
    html_put(to, known < 0 ? p->language ? p->language : "en" : said[known].name);
    fprintf(to, "\" src=\"data:text/vtt;base64,%s\">", base64);
    free(base64);
}

static void put_player(FILE *to, const Page *p)
{
    const PageFile *first = first_of(p, "video");
    if (!first) { /* a campaign of stills */
        fputs("<img alt=\"\" src=\"", to);
        html_put_address(to, first_of(p, "gif") ? first_of(p, "gif")->name : poster_of(p));
        fputs("\">", to);
        return;
    }
    fprintf(to,
            "<video controls playsinline preload=\"metadata\" width=\"%d\" height=\"%d\" "
            "style=\"max-width:100%%;height:auto\" poster=\"",
            first->width, first->height);
    html_put_address(to, poster_of(p));
    fputs("\">", to);
    put_sources(to, p);
    put_track(to, p);
    fputs("<a href=\"", to);
    html_put_address(to, first->name);
    fputs("\">", to);
    html_put(to, first->name);
    fputs("</a></video>", to);
}

static void put_downloads(FILE *to, const Page *p)
{
    fputs("<ul>", to);
    for (int i = 0; i < p->file_count; i++) {
        fputs("<li><a download href=\"", to);
        html_put_address(to, p->file[i].name);
        fputs("\">", to);
        html_put(to, p->file[i].rendition->name);
        if (!is_kind(&p->file[i], "gif")) fprintf(to, " %d×%d", p->file[i].width, p->file[i].height);
        fputs("</a></li>", to);
    }
    fputs("</ul>", to);
}

/* ---- the page ---- */

static void put_address(FILE *to, const char *name) { html_put_address(to, name ? name : ""); }

static void put_own(FILE *to, const Page *p, PageOwn what)
{
    const PageFile *video = first_of(p, "video"), *gif = first_of(p, "gif");
    const int known = said_in(p->language), seconds = (int)lround(p->duration_s);
    switch (what) {
    case PAGE_player:
        return put_player(to, p);
    case PAGE_downloads:
        return put_downloads(to, p);
    case PAGE_video:
        return put_address(to, video ? video->name : NULL);
    case PAGE_poster:
        return put_address(to, poster_of(p));
    case PAGE_gif:
        return put_address(to, gif ? gif->name : poster_of(p));
    case PAGE_captions:
        return put_address(to, p->captions);
    case PAGE_disclosure:
        return html_put(to, said[known < 0 ? 0 : known].disclosure);
    case PAGE_label:
        return html_put(to, label_words(p->label));
    case PAGE_language:
        return html_put(to, p->language ? p->language : "en");
    case PAGE_length:
        fprintf(to, "%d:%02d", seconds / 60, seconds % 60);
        return;
    case PAGE_id:
        return html_put(to, p->clip_id);
    case PAGE_COUNT:
        return;
    }
}

static Status put_parts(FILE *to, const Page *p)
{
    size_t i;
    json_t *part;
    json_array_foreach(json_object_get(p->page, "parts"), i, part)
    {
        const char *text = json_string_value(part), *own = json_string_value(json_object_get(part, "clip"));
        if (json_is_integer(part))
            text = json_string_value(json_array_get(p->values, (size_t)json_integer_value(part)));
        const int what = own ? page_own_find(own) : -1;
        if (!text && what < 0) return status_fail(ERR_FATAL, "page: part %zu of its document is damaged", i);
        if (text)
            fputs(text, to);
        else
            put_own(to, p, (PageOwn)what);
    }
    return status_ok();
}

Status page_write(const char *path, const Page *page)
{
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    if (!to) return status_fail(ERR_NODE, "page: out of memory");
    Status status = put_parts(to, page);
    if (fclose(to) != 0 && !failed(status)) status = status_fail(ERR_NODE, "page: out of memory");
    if (!failed(status)) status = file_replace(path, text, bytes);
    free(text);
    return status;
}
