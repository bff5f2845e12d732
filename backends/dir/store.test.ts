import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStore } from '../conformance/suite.ts';
import { openDirectoryDriver } from './open.ts';
import { backUp, onFile, putRowsBack } from './trial-restore.ts';

describeStore('a local directory', () => {
  const path = mkdtempSync(join(tmpdir(), 'log-store-'));
  const backups = mkdtempSync(join(tmpdir(), 'log-backups-'));
  let saved = 0;
  return Promise.resolve({
    connect: () => openDirectoryDriver({ path }),
    spoil: (partition, slot, change) => {
      onFile(path, (db) => {
        const row = db.prepare(`SELECT batch FROM ${partition}_slots WHERE slot = ?`).get(slot);
        const changed = change((row?.['batch'] as Uint8Array | undefined) ?? new Uint8Array());
        db.prepare(`DELETE FROM ${partition}_slots WHERE slot = ?`).run(slot);
        if (changed) db.prepare(`INSERT INTO ${partition}_slots VALUES (?, ?)`).run(slot, changed);
      });
      return Promise.resolve();
    },
    save: () => {
      const copy = join(backups, String(++saved));
      backUp(path, copy);
      return Promise.resolve(() => {
        putRowsBack(path, copy);
        return Promise.resolve();
      });
    },
    dispose: () => {
      for (const each of [path, backups]) rmSync(each, { recursive: true, force: true });
      return Promise.resolve();
    },
  });
});
