/* plan.c - `reelwright plan`: how long a campaign takes, on how many nodes, at what cost, with what probability. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/plan/amount.h"
#include "coordinator/plan/estimate.h"
#include "coordinator/verbs/verbs.h"

/* A number of workers and a size of groups that the record has measured. */
static void print_split(const json_t *split)
{
    char done[32];
    const json_t *at = json_object_get(split, "finish_p50"), *cost = json_object_get(split, "cost");
    const int workers = (int)json_integer_value(json_object_get(split, "workers"));
    const int group = (int)json_integer_value(json_object_get(split, "group_size"));
    foreign_print(stdout, "  measured   %d worker%s on each node", workers, plural_s(workers));
    if (group > 1) foreign_print(stdout, " in groups of %d", group);
    foreign_print(stdout, ": done after %s",
                  moment_length(json_is_number(at) ? json_number_value(at) : INFINITY, done));
    if (json_is_number(cost)) foreign_print(stdout, ", cost %s", amount_cost(json_number_value(cost)).text);
    foreign_print(stdout, "%s\n", json_is_true(json_object_get(split, "planned")) ? " (this plan)" : "");
}

static double bytes_of(const json_t *j, const char *part, const char *key)
{
    return json_number_value(json_object_get(json_object_get(j, part), key));
}

static void print_room(const json_t *j)
{
    const double disk = bytes_of(j, "disk", "all_bytes"), memory = bytes_of(j, "memory", "node_bytes");
    if (disk > 0)
        foreign_print(stdout, "  disk       %s: clips %s, checkpoints %s, masters that wait %s\n",
                      amount_bytes(disk).text, amount_bytes(bytes_of(j, "disk", "clips_bytes")).text,
                      amount_bytes(bytes_of(j, "disk", "checkpoints_bytes")).text,
                      amount_bytes(bytes_of(j, "disk", "masters_bytes")).text);
    if (memory > 0)
        foreign_print(stdout, "  memory     at most %s of the %s of each node\n", amount_bytes(memory).text,
                      amount_bytes(bytes_of(j, "memory", "has_bytes")).text);
}

static void print_deaths(const Estimate *p)
{
    const Night *n = &p->by.night;
    const double costs_s = p->forecast.p50_s - p->without_death_s;
    char at[32], costs[32];
    if (n->node_dies_at_s == 0 && n->dies_at_s == 0) return;
    foreign_print(stdout, "  a death    of %s%s%s after %s: ", n->node_dies_at_s > 0 ? "a node" : "",
                  n->node_dies_at_s > 0 && n->dies_at_s > 0 ? ", and of " : "",
                  n->dies_at_s > 0 ? "the coordinator" : "",
                  moment_length(n->node_dies_at_s > 0 ? n->node_dies_at_s : n->dies_at_s, at));
    if (isfinite(costs_s))
        foreign_print(stdout, "done %s later than without\n", moment_length(costs_s > 0 ? costs_s : 0, costs));
    else
        foreign_print(stdout, "never done, no node is left; under Slurm the job waits for another one\n");
}

/* "2 workers, which render and finish", "1 group of 4 workers, and 2 processes that finish" */
static void print_node(const Night *n)
{
    foreign_print(stdout, "  each node  ");
    if (n->group_size > 1)
        foreign_print(stdout, "%d group%s of %d workers", n->groups, plural_s(n->groups), n->group_size);
    else
        foreign_print(stdout, "%d worker%s", n->groups, plural_s(n->groups));
    if (n->both)
        foreign_print(stdout, ", which render%s and finish%s", n->groups * n->group_size == 1 ? "s" : "",
                      n->groups * n->group_size == 1 ? "es" : "");
    if (n->finishers > 0)
        foreign_print(stdout, ", and %d process%s that finish%s", n->finishers, n->finishers == 1 ? "" : "es",
                      n->finishers == 1 ? "es" : "");
    foreign_print(stdout, "\n");
}

static void print_done(const NightForecast *f)
{
    char p50[32], p10[32], p90[32];
    if (isinf(f->p10_s))
        foreign_print(stdout, "  never done, in nine nights of ten");
    else
        foreign_print(stdout, "  done after %s; in one night of ten before %s, in another after %s",
                      moment_length(f->p50_s, p50), moment_length(f->p10_s, p10), moment_length(f->p90_s, p90));
    foreign_print(stdout, " (%d simulated night%s)\n", f->trials, plural_s(f->trials));
}

static void print_plan(const Estimate *p, const json_t *j)
{
    char length[32];
    const Night *n = &p->by.night;
    const NightForecast *f = &p->forecast;
    const json_t *one;
    size_t i;
    foreign_print(stdout, "%s: %lld clip%s of %lld render%s, on %d node%s\n\n", p->campaign->name,
                  (long long)p->clip_count, plural_s(p->clip_count), (long long)n->shots, plural_s(n->shots), n->nodes,
                  plural_s(n->nodes));
    print_done(f);
    if (p->deadline_s > 0) {
        foreign_print(stdout, "  deadline   in %s: kept with a probability of %.0f %%",
                      moment_length(p->deadline_s, length), 100 * f->probability);
        if (p->nodes_for_deadline)
            foreign_print(stdout, "; %d node%s it in nine nights of ten\n", p->nodes_for_deadline,
                          p->nodes_for_deadline == 1 ? " keeps" : "s keep");
        else
            foreign_print(stdout, "; no number of nodes keeps it\n");
    }
    print_node(n);
    foreign_print(stdout, "  a render   %.2f s, a finish %.2f s (medians); the first clip after %s\n",
                  json_number_value(json_object_get(j, "render_s")), json_number_value(json_object_get(j, "finish_s")),
                  moment_length(f->first_clip_s, length));
    if (p->evaluations.all < p->evaluations.without)
        foreign_print(
            stdout,
            "  denoising  %lld evaluations of the transformer; %lld without what `reuse` shares and leaves out\n",
            (long long)p->evaluations.all, (long long)p->evaluations.without);
    const double gpu_hours = json_number_value(json_object_get(j, "gpu_hours"));
    foreign_print(stdout, "  in all     %.2f core hours", json_number_value(json_object_get(j, "core_hours")));
    if (gpu_hours > 0) foreign_print(stdout, ", %.2f GPU hours", gpu_hours);
    foreign_print(stdout, "; at most %lld master%s\n", (long long)f->most_masters,
                  f->most_masters == 1 ? " waits" : "s wait");
    json_array_foreach(json_object_get(j, "splits"), i, one) print_split(one);
    print_deaths(p);
    if (json_number_value(json_object_get(j, "checkpoint_every_s")) > 0)
        foreign_print(stdout, "  checkpoint every %s costs least with so many failures (Young, Daly)\n",
                      moment_length(json_number_value(json_object_get(j, "checkpoint_every_s")), length));
    if (n->fail_share > 0)
        foreign_print(stdout,
                      "  failures   %.2g %% of the record's leases failed; so many are planned to be done again\n",
                      100 * n->fail_share);
    print_room(j);
    if (json_is_number(json_object_get(j, "cost")))
        foreign_print(stdout, "  cost       %s\n", amount_cost(json_number_value(json_object_get(j, "cost"))).text);
    if (json_is_number(json_object_get(j, "energy_kwh")))
        foreign_print(stdout, "  energy     %.2f kWh\n", json_number_value(json_object_get(j, "energy_kwh")));
    json_array_foreach(json_object_get(j, "suggestions"), i, one)
        foreign_print(stdout, "  cheaper    %s\n", json_string_value(one));
    json_array_foreach(json_object_get(j, "notes"), i, one)
        foreign_print(stdout, "  note       %s\n", json_string_value(one));
}

Status verb_plan(int argc, char **argv)
{
    EstimateOptions o = {.finishers = -1};
    bool json = false;
    const Option option[] = {
        {"record", OPTION_TEXT, &o.record, .value = "FILE|DIR", .required = true,
         .help = "measured times: a record of `bench`, or the folder of a campaign that has run"},
        {"nodes", OPTION_INT, &o.nodes, .value = "N", .min = 1, .max = ESTIMATE_NODES,
         .help = "machines (as in the record)"},
        {"workers", OPTION_INT, &o.workers, .value = "N", .min = 1, .max = 4096},
        {"group-size", OPTION_INT, &o.group_size, .value = "T", .min = 1, .max = 64},
        {"finishers", OPTION_INT, &o.finishers, .value = "M", .min = 0, .max = 4096,
         .help = "on each node, as `run` takes them"},
        {"deadline", OPTION_TEXT, &o.deadline, .value = "T",
         .help = "06:00, a date and time, or seconds from the start (the campaign's)"},
        {"failures", OPTION_REAL, &o.failures, .value = "F", .min = 0, .max = 1e6,
         .help = "nodes that die in a thousand node-days; clusters report 3.8 to 6.5 (0). How many leases fail is the "
                 "record's"},
        {"node-dies-at", OPTION_TEXT, &o.node_dies_at, .value = "T",
         .help = "a node dies then (as --deadline): what that costs; the job starts again on the others"},
        {"dies-at", OPTION_TEXT, &o.dies_at, .value = "T",
         .help = "likewise the coordinator, once; the job starts again on all nodes"},
        {"preemptions", OPTION_REAL, &o.preemptions, .value = "P", .min = 0, .max = 1e4,
         .help = "of the job in a day; it checkpoints, and goes on after --requeue"},
        {"requeue", OPTION_REAL, &o.requeue, .value = "S", .min = 0, .max = 1e6,
         .help = "seconds that a preempted job waits for its nodes"},
        {"node-cost", OPTION_REAL, &o.node_cost, .value = "C", .min = 0, .max = 1e9},
        {"watts", OPTION_REAL, &o.watts, .value = "W", .min = 0, .max = 1e6,
         .help = "of one node: for an hour; what it draws (its processors, where the record says it)"},
        {"json", OPTION_FLAG, &json, .help = "the same as one JSON object"}};
    const Usage usage = {.verb = "plan",
                         .arguments = "CAMPAIGN.yaml --record FILE|DIR [options]",
                         .about =
                             "Says how long a campaign takes, on how many nodes, at what cost, with what probability:\n"
                             "plays many nights on paper with measured times. Renders nothing.",
                         .option = option,
                         .option_count = sizeof option / sizeof *option,
                         .min_arguments = 1,
                         .max_arguments = 1};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    Estimate e;
    Status status = estimate_make(&o, argv[first], &e);
    if (!failed(status)) {
        json_t *j = estimate_json(&e);
        if (json)
            foreign_print_json(stdout, j, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
        else
            print_plan(&e, j);
        json_decref(j);
    }
    estimate_clear(&e);
    return status;
}
