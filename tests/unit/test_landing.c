/* The page of a clip: what of a template goes into the documents, what a finisher makes of them, and every fault that a page can have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/campaign/landing_place.h"
#include "worker/finish/page.h"

static const char folder[] = "test_landing.d";

static void put(const char *name, const char *text)
{
    char *path = path_join(folder, name);
    assert_string_equal(file_make_folders(folder).message, "");
    assert_string_equal(file_replace(path, text, strlen(text)).message, "");
    free(path);
}

static const char csv[] = "id,name,link\nanna,\"Anna <b>&\"\"'\",https://e.com/?a=1&b=2\nben,,products/7\n";

static Status load(const char *html, const char *table, Campaign **out)
{
    put("page.html", html);
    put("c.csv", table);
    put("c.yaml", "campaign: test\nmodel: " SOURCE_DIR "/models/pocket\ncustomers: c.csv\nprompt: x\nseed: 1\n"
                  "label: {profile: eu}\npage: page.html\n");
    return campaign_load("test_landing.d/c.yaml", out);
}

/* The page of a row, as a finisher makes it of the documents. */
static char *page_of(const Campaign *c, int row)
{
    FinishSpec spec;
    char *text;
    size_t bytes;
    const Rendition tall = {.name = "reels"}, wide = {.name = "web"}, poster = {.name = "poster", .kind = "poster"};
    assert_string_equal(finish_spec_read(c->finish, c->clip[row].finish ? c->clip[row].finish : "", &spec).message, "");
    Page p = {
        .page = finish_spec_get(&spec, "page"),
        .values = finish_spec_get(&spec, "page_values"),
        .file_count = 3,
        .file = {{"a.mp4", &tall, 1080, 1920}, {"a.web.mp4", &wide, 1920, 1080}, {"a.poster.jpg", &poster, 9, 16}},
        .thumbnail = "a.png",
        .captions = "a.vtt",
        .captions_vtt = "WEBVTT\n",
        .language = "de-AT",
        .label = finish_spec_get(&spec, "label"),
        .clip_id = "a&b",
        .duration_s = 64.6};
    assert_string_equal(page_write("test_landing.d/out.html", &p).message, "");
    assert_string_equal(file_read("test_landing.d/out.html", 1 << 20, &text, &bytes).message, "");
    finish_spec_clear(&spec);
    return text;
}

static void values_stay_text(void **state)
{
    (void)state;
    Campaign *c;
    assert_string_equal(load("<p title=\"{{name|you}}\">{{name|you}} \\{{x}}</p>\n<!-- {{none}} -->"
                             "<a href=\"{{link}}\">x</a><a href='https://s.com/{{name|no one}}?x'>y</a> {{clip.id}}",
                             csv, &c)
                            .message,
                        "");
    char *anna = page_of(c, 0), *ben = page_of(c, 1);
    assert_string_equal(anna, "<p title=\"Anna &lt;b&gt;&amp;&quot;&#39;\">Anna &lt;b&gt;&amp;&quot;&#39; {{x}}</p>\n"
                              "<!-- {{none}} --><a href=\"https://e.com/?a=1&amp;b=2\">x</a>"
                              "<a href='https://s.com/Anna%20%3Cb%3E%26%22%27?x'>y</a> a&amp;b");
    assert_string_equal(ben, "<p title=\"you\">you {{x}}</p>\n<!-- {{none}} --><a href=\"products/7\">x</a>"
                             "<a href='https://s.com/no%20one?x'>y</a> a&amp;b");
    json_t *own = json_loads(c->clip[1].finish, 0, NULL);
    assert_string_equal(json_string_value(json_array_get(json_object_get(own, "fallbacks"), 0)), "name");
    json_decref(own);
    free(anna);
    free(ben);
    campaign_free(&c);
}

static void a_clip_shows_itself(void **state)
{
    (void)state;
    Campaign *c;
    assert_string_equal(load("{{clip.player}}|{{ clip.downloads }}|<a href=\"{{clip.captions}}\">{{clip.disclosure}}|"
                             "{{clip.label}}|{{clip.length}}|{{clip.language}}|<img src=\"{{clip.gif}}\">",
                             csv, &c)
                            .message,
                        "");
    char *page = page_of(c, 0);
    assert_string_equal(
        page,
        "<video controls playsinline preload=\"metadata\" width=\"1080\" height=\"1920\" "
        "style=\"max-width:100%;height:auto\" poster=\"a.poster.jpg\">"
        "<source media=\"(orientation: landscape)\" src=\"a.web.mp4\" type=\"video/mp4\"><source src=\"a.mp4\" "
        "type=\"video/mp4\"><track kind=\"captions\" default srclang=\"de-AT\" label=\"Deutsch\" "
        "src=\"data:text/vtt;base64,V0VCVlRUCg==\"><a href=\"a.mp4\">a.mp4</a></video>"
        "|<ul><li><a download href=\"a.mp4\">reels 1080×1920</a></li><li><a download href=\"a.web.mp4\">web "
        "1920×1080</a></li><li><a download href=\"a.poster.jpg\">poster 9×16</a></li></ul>"
        "|<a href=\"a.vtt\">Dieses Video wurde mit KI erstellt.|AI-generated|1:05|de-AT|<img src=\"a.poster.jpg\">");
    free(page);
    campaign_free(&c);
}

static void faults_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *html, *fault;
    } bad[] = {
        {"<p>\n{{nmae}}", "page.html:2: no column \"nmae\" among the customers'; did you mean {{name}}?"},
        {"\n\n{{name", "page.html:3: {{ without }}"},
        {"<script>\nlet n = \"{{id}}\";</script>", "page.html:2: \"{{id}}\" stands inside a script or a style"},
        {"<script>a</scripts>{{id}}</script>", "inside a script or a style"},
        {"<style>a{content:'{{id}}'}</style>", "inside a script or a style"},
        {"<a onclick=\"f('{{id}}')\">", "in an attribute that holds code"},
        {"<a title={{id}}>", "inside a tag, not between quotes"},
        {"<p>{{clip.plaier}}", "no value clip.plaier; did you mean clip.player?"},
        {"<p title=\"{{clip.player}}\">", "{{clip.player}} is an element; expected it between tags"},
        {"{{name}}", "c.csv:3: field name: empty, and page.html:1 has no fallback"},
        {"<a href=\"{{link}}\">", "c.csv:4: field link: \"javascript:alert(1)\" as an address in page.html:1"},
        {"\xff", "page.html:1: no UTF-8 text"},
    };
    static const char table[] = "id,name,link\nanna,Anna,x\nben,,http://e.com\ncarl,Carl,javascript:alert(1)\n";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Campaign *c = NULL;
        Status s = load(bad[i].html, table, &c);
        if (!failed(s) || !strstr(s.message, bad[i].fault))
            fail_msg("%s\n%s\nexpected %s", bad[i].html, s.message, bad[i].fault);
        campaign_free(&c);
    }
}

static void warns_of_what_is_missing(void **state)
{
    (void)state;
    Campaign *c;
    static const char *const about[] = {"\"style.css\" is not delivered with the page", "it shows no video",
                                        "does not say that AI made the video"};
    assert_string_equal(
        load("<link rel=\"stylesheet\" href=\"style.css\"><img src=\"https://e.com/x.png\"><a href=\"imprint.html\">",
             csv, &c)
            .message,
        "");
    int found = 0;
    for (int i = 0; i < c->warnings.count; i++)
        for (size_t k = 0; k < sizeof about / sizeof *about; k++)
            found += strstr(c->warnings.warning[i].message, about[k]) != NULL;
    assert_int_equal(found, 3);
    campaign_free(&c);
}

static void places_are_those_of_a_browser(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        LandingPlace place;
    } row[] = {
        {"", LANDING_TEXT},
        {"a < b ", LANDING_TEXT},
        {"<p>", LANDING_TEXT},
        {"<p class='", LANDING_TEXT},
        {"<img alt=\"", LANDING_TEXT},
        {"<a HREF = \"", LANDING_URL},
        {"<a href=\" ", LANDING_URL},
        {"<a href=\"/x/", LANDING_URL_PART},
        {"<a href='x' title='", LANDING_TEXT},
        {"<a ", LANDING_NOWHERE},
        {"<a href=", LANDING_NOWHERE},
        {"<a href=x", LANDING_NOWHERE},
        {"<", LANDING_NOWHERE},
        {"<div style=\"", LANDING_NOWHERE},
        {"<body onLoad=\"", LANDING_NOWHERE},
        {"<SCRIPT src='x'>", LANDING_NOWHERE},
        {"<script>if (a </b) '</scrip", LANDING_NOWHERE},
        {"<script></script>", LANDING_TEXT},
        {"<style></STYLE >", LANDING_TEXT},
        {"<!-- a > b --><br/>", LANDING_TEXT},
        {"<!doctype html><title>", LANDING_TEXT},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        LandingHtml h = {0};
        bool markup;
        const char *why;
        landing_html_pass(&h, row[i].before, strlen(row[i].before));
        LandingPlace place = landing_html_place(&h, &markup, &why);
        if (place != row[i].place) fail_msg("%s: %d, expected %d", row[i].before, place, row[i].place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stay_text),
        cmocka_unit_test(a_clip_shows_itself),
        cmocka_unit_test(faults_name_the_line),
        cmocka_unit_test(warns_of_what_is_missing),
        cmocka_unit_test(places_are_those_of_a_browser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
