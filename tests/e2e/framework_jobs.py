"""Trainings by real frameworks that log as they do by themselves, for an environment with torch.

Each takes its folder as an argument, and says in the end how far it came: steps and epochs.
"""

LIGHTNING = """
import json, sys, time
import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

class Model(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch, index):
        time.sleep(0.02)
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", self.layer(batch[0]).pow(2).mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)

kind = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}[sys.argv[2]]
rows = torch.utils.data.TensorDataset(torch.ones(28, 4))
loader = torch.utils.data.DataLoader(rows, batch_size=4)
trainer = L.Trainer(
    max_epochs=3, logger=kind(sys.argv[1]), log_every_n_steps=2, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
)
trainer.fit(Model(), loader, loader)
print(json.dumps([trainer.global_step, float(trainer.current_epoch)]))
"""

HUGGING_FACE = """
import json, sys, time
import torch
from transformers import Trainer, TrainingArguments

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 28

    def __getitem__(self, index):
        row = torch.full((4,), float(index % 7))
        return {"x": row, "labels": row.sum()}

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x, labels):
        time.sleep(0.02)
        return {"loss": ((self.layer(x).squeeze(-1) - labels) ** 2).mean()}

tensorboard = sys.argv[2] == "tensorboard"
arguments = TrainingArguments(
    output_dir=sys.argv[1], num_train_epochs=3, per_device_train_batch_size=4,
    report_to=["tensorboard"] if tensorboard else "none", logging_steps=1, use_cpu=True,
    save_strategy="no" if tensorboard else "epoch", disable_tqdm=True,
)
trainer = Trainer(Model(), arguments, train_dataset=Rows())
trainer.train()
print(json.dumps([trainer.state.global_step, trainer.state.epoch]))
"""
