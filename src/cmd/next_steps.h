/* next_steps.h - where a pruned model can go from here: lines for Ollama, LM Studio, the hub, vLLM, MLX. */
#ifndef REAP_CMD_NEXT_STEPS_H
#define REAP_CMD_NEXT_STEPS_H

/* Says them as notes, so not with --quiet, nor with --json. name: what the model is called; output: its first file, or
 * its folder; mtp: the file of its MTP blocks, or NULL; typed: its file in another type, the one to run then, or NULL; card: the file of its card, or NULL. What cannot be said in a line that a shell takes as it is, is left
 * out. */
void next_steps(const char *name, const char *output, const char *mtp, const char *typed, const char *card);

#endif
