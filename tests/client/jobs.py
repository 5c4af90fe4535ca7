"""Real training jobs, one for each framework: scripts that end with what the framework counted.

Each is run by the Python of an environment that has the framework, with the client beside it, and
takes one JSON object of options as its argument. The last line it prints is a JSON object.
"""

HEAD = """
import json, os, signal, sys, time
OPTIONS = json.loads(sys.argv[1])
def say(**counts):
    print(json.dumps(counts), flush=True)
def die_at(step):
    if step == OPTIONS.get("die_at"):
        time.sleep(1.2)  # a step is on disk a second later at most
        os.kill(os.getpid(), signal.SIGKILL)
"""

HUGGINGFACE = (
    HEAD
    + """
import torch, transformers
from unitcost_client.huggingface import UnitcostCallback

class Rows(torch.utils.data.Dataset):
    def __len__(self): return 26
    def __getitem__(self, row):
        time.sleep(OPTIONS.get("loading", 0))
        words = torch.full((8,), row % 7)
        return {"input_ids": words, "labels": words}

class Watch(transformers.TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs): die_at(state.global_step)

class Slow(transformers.Trainer):
    def _save_checkpoint(self, *args, **kwargs):
        time.sleep(OPTIONS.get("saving", 0))
        return super()._save_checkpoint(*args, **kwargs)

model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
    vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1,
    bos_token_id=0, eos_token_id=0))
arguments = transformers.TrainingArguments(
    OPTIONS["folder"], num_train_epochs=OPTIONS.get("epochs", 3),
    max_steps=OPTIONS.get("max_steps", -1), per_device_train_batch_size=2,
    gradient_accumulation_steps=2, logging_steps=3, report_to="none", use_cpu=True,
    save_strategy="steps", save_steps=4, disable_tqdm=True,
    include_num_input_tokens_seen="all")
trainer = Slow(model=model, args=arguments, train_dataset=Rows(),
               callbacks=[UnitcostCallback("hf"), Watch()])
trainer.train(resume_from_checkpoint=OPTIONS.get("resume"))
state = trainer.state
say(steps=state.global_step, epochs=state.epoch, goal=state.max_steps,
    tokens=int(state.num_input_tokens_seen), version=transformers.__version__)
"""
)

LIGHTNING = (
    HEAD
    + """
import torch
import lightning.pytorch as pl
from unitcost_client.lightning import UnitcostCallback

class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
    def training_step(self, batch, index): return self.layer(batch).mean()
    def validation_step(self, batch, index): time.sleep(OPTIONS.get("validating", 0))
    def configure_optimizers(self): return torch.optim.SGD(self.parameters(), 0.01)
    def on_train_batch_end(self, *args):
        die_at(self.trainer.global_step)
        if self.trainer.global_step == OPTIONS.get("raise_at"): raise RuntimeError("as asked")
    def on_save_checkpoint(self, checkpoint): time.sleep(OPTIONS.get("saving", 0))
    def on_fit_end(self):  # spawned ranks leave nothing in the trainer of their parent
        if self.trainer.is_global_zero:
            say(steps=self.trainer.global_step, epochs=self.trainer.current_epoch,
                version=pl.__version__)

class Rows(torch.utils.data.Dataset):
    def __len__(self): return 16 * OPTIONS.get("ranks", 1)
    def __getitem__(self, row):
        time.sleep(OPTIONS.get("loading", 0))
        return torch.ones(4)

def main():
    loader = torch.utils.data.DataLoader(Rows(), batch_size=2)
    other = torch.utils.data.DataLoader(torch.ones(2, 4), batch_size=2)
    ranks = OPTIONS.get("ranks", 1)
    checkpoint = pl.callbacks.ModelCheckpoint(
        OPTIONS["folder"], save_top_k=-1, every_n_train_steps=OPTIONS.get("save_every", 4))
    trainer = pl.Trainer(
        max_epochs=OPTIONS.get("epochs", 3), max_steps=OPTIONS.get("max_steps", -1),
        accelerator="cpu", devices=ranks, strategy=OPTIONS.get("strategy", "auto"),
        accumulate_grad_batches=2, callbacks=[UnitcostCallback("pl"), checkpoint], logger=False,
        enable_progress_bar=False, enable_model_summary=False)
    own = trainer.save_checkpoint
    trainer.fit(Model(), loader, other, ckpt_path=OPTIONS.get("resume"))
    assert trainer.save_checkpoint == own
    trainer.validate(Model(), other, verbose=False)

if __name__ == "__main__":  # processes that are spawned import this again
    main()
"""
)

KERAS = (
    HEAD
    + """
os.environ["KERAS_BACKEND"] = OPTIONS.get("backend", "torch")
import keras, numpy
from unitcost_client.keras import UnitcostCallback

class Watch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None): die_at(epoch)

optimizer = keras.optimizers.SGD(gradient_accumulation_steps=OPTIONS.get("accumulate"))
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile(optimizer=optimizer, loss="mse",
              steps_per_execution=OPTIONS.get("at_once", 1))
backup = keras.callbacks.BackupAndRestore(OPTIONS["folder"])
callbacks = [backup, UnitcostCallback("keras"), Watch()]
rows = numpy.ones((20, 3)), numpy.ones((20, 1))
history = model.fit(*rows, batch_size=2, epochs=OPTIONS.get("epochs", 3), verbose=0,
                    callbacks=callbacks, validation_data=rows)
say(steps=int(model.optimizer.iterations), epochs=history.epoch[-1] + 1,
    version=keras.__version__)
"""
)

RAY = (
    HEAD
    + """
import tempfile
import ray.train
from ray.train.torch import TorchTrainer

def work(config):
    import unitcost_client.ray
    run = unitcost_client.ray.start("ray", total_epochs=2)
    rank = ray.train.get_context().get_world_rank()
    for epoch in range(2):
        for _ in run.steps(range(5)): pass
        run.epoch()
        with tempfile.TemporaryDirectory() as folder:
            saved = ray.train.Checkpoint.from_directory(folder) if rank == 0 else None
            unitcost_client.ray.report(run, {"epoch": epoch}, checkpoint=saved)
    run.end()

ray.init(num_cpus=3, include_dashboard=False, logging_level="ERROR")
TorchTrainer(
    work, scaling_config=ray.train.ScalingConfig(num_workers=2),
    run_config=ray.train.RunConfig(name="tuned", storage_path=OPTIONS["folder"]),
).fit()
say(version=ray.__version__)
"""
)
