/* model_config_scheduler.c - scheduler/scheduler_config.json: which solver, and what of it the engine does not do. */
#include <stdio.h>
#include <string.h>

#include "common/json_fields.h"
#include "common/model_config.h"

static void read_unipc(Fields *f, SchedulerConfig *c)
{
    snprintf(c->kind, sizeof c->kind, "unipc");
    c->flow_shift = fields_real(f, "flow_shift", 1.0, 1e-3, 1e3);
    c->order = fields_int(f, "solver_order", 2, 1, 3);
    c->lower_order_final = fields_bool(f, "lower_order_final", true);
    c->bh2 = strcmp(fields_text(f, "solver_type", "bh2"), "bh1") != 0;
    c->predict_x0 = true;
    fields_refuse(f, "predict_x0", true);
    fields_refuse(f, "thresholding", false);
    fields_expect(f, "prediction_type", "epsilon", "flow_prediction");
    if (!fields_bool(f, "use_flow_sigmas", false)) fields_fault(f, "use_flow_sigmas", " is false, expected true");
    const char *last = fields_text(f, "final_sigmas_type", "zero");
    c->final_sigma_zero = strcmp(last, "zero") == 0;
    if (!c->final_sigma_zero && strcmp(last, "sigma_min") != 0)
        fields_fault(f, "final_sigmas_type", " = \"%.40s\", expected \"zero\" or \"sigma_min\"", last);
    if (c->final_sigma_zero && !c->lower_order_final && c->order > 1)
        fields_fault(f, "lower_order_final", " is false: with a last sigma of zero the last step would divide by zero");
    if (c->final_sigma_zero && !c->bh2)
        fields_fault(f, "solver_type", " = \"bh1\": with a last sigma of zero the last step would divide by zero");
    if (fields_get(f, "solver_p")) fields_fault(f, "solver_p", " is not supported, expected null");
    int off[64], count = 0;
    if (fields_ints(f, "disable_corrector", 0, 64, 0, 63, off, &count))
        for (int i = 0; i < count; i++) c->disable_corrector[off[i]] = true;
}

/* A solver that looks at the present step alone. */
static void read_single(Fields *f, const char *kind, SchedulerConfig *c)
{
    snprintf(c->kind, sizeof c->kind, "%s", kind);
    c->flow_shift = fields_real(f, "shift", 1.0, 1e-3, 1e3);
    c->order = 1;
    c->lower_order_final = c->predict_x0 = c->bh2 = c->final_sigma_zero = true;
    fields_refuse(f, "invert_sigmas", false);
    fields_refuse(f, "scale_factors", false);
    fields_refuse(f, "stochastic_sampling", false);
}

Status model_config_read_scheduler(const char *folder, SchedulerConfig *c)
{
    Fields f;
    if (failed(fields_open(folder, "scheduler/scheduler_config.json", &f))) return fields_close(&f);
    const char *kind = fields_text(&f, "_class_name", "UniPCMultistepScheduler");
    c->train_steps = fields_int(&f, "num_train_timesteps", 1000, 1, 1 << 20);
    if (strcmp(kind, "UniPCMultistepScheduler") == 0) {
        read_unipc(&f, c);
    } else if (strcmp(kind, "FlowMatchEulerDiscreteScheduler") == 0) {
        read_single(&f, "euler", c);
    } else if (strcmp(kind, "FlowMatchLCMScheduler") == 0) {
        read_single(&f, "lcm", c);
    } else {
        fields_fault(&f, "_class_name",
                     " = \"%.60s\", expected UniPCMultistepScheduler, FlowMatchEulerDiscreteScheduler or "
                     "FlowMatchLCMScheduler",
                     kind);
    }
    fields_refuse(&f, "use_dynamic_shifting", false);
    fields_refuse(&f, "use_karras_sigmas", false);
    fields_refuse(&f, "use_exponential_sigmas", false);
    fields_refuse(&f, "use_beta_sigmas", false);
    fields_refuse(&f, "shift_terminal", false);
    return fields_close(&f);
}
