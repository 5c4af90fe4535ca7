"""A training by the real Trainer that knows nothing of unitcost, for an environment with torch.

Arguments: folder, epochs, seconds a step, after how many epochs it stops early (0: never), and
whether it saves each epoch (`save`) and goes on from there (`resume`). It says its step and epoch
after each step.
"""

JOB = """
import json
import sys
import time

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

FOLDER, EPOCHS, SECONDS, STOP = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
SAVES, RESUMES = "save" in sys.argv, "resume" in sys.argv


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, index):
        row = torch.full((4,), float(index % 7))
        return {"x": row, "labels": row.sum()}


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x, labels):
        time.sleep(SECONDS)
        return {"loss": ((self.layer(x).squeeze(-1) - labels) ** 2).mean()}


class Stop(TrainerCallback):
    def on_epoch_end(self, args, state, control, **kwargs):
        control.should_training_stop = bool(STOP) and state.epoch >= STOP

    def on_step_end(self, args, state, control, **kwargs):
        print(json.dumps([state.global_step, state.epoch]), flush=True)


arguments = TrainingArguments(
    output_dir=FOLDER,
    num_train_epochs=EPOCHS,
    per_device_train_batch_size=4,
    report_to="none",
    save_strategy="epoch" if SAVES or RESUMES else "no",
    logging_steps=1,
    use_cpu=True,
    disable_tqdm=True,
    include_num_input_tokens_seen="no",
)
trainer = Trainer(Model(), arguments, train_dataset=Rows(), callbacks=[Stop()])
trainer.train(resume_from_checkpoint=RESUMES)
print(json.dumps([trainer.state.global_step, trainer.state.epoch]), flush=True)
"""
