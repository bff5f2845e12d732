import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describeStore } from '../conformance/suite.ts';
import { databaseName } from './database.ts';
import { openDirectoryDriver } from './open.ts';

describeStore('a local directory', () => {
  const path = mkdtempSync(join(tmpdir(), 'log-store-'));
  return Promise.resolve({
    connect: () => openDirectoryDriver({ path }),
    spoil: (partition, slot, change) => {
      const db = new DatabaseSync(join(path, databaseName), { timeout: 10_000 });
      try {
        const row = db.prepare(`SELECT batch FROM ${partition}_slots WHERE slot = ?`).get(slot);
        const changed = change((row?.['batch'] as Uint8Array | undefined) ?? new Uint8Array());
        db.prepare(`DELETE FROM ${partition}_slots WHERE slot = ?`).run(slot);
        if (changed) db.prepare(`INSERT INTO ${partition}_slots VALUES (?, ?)`).run(slot, changed);
      } finally {
        db.close();
      }
      return Promise.resolve();
    },
    dispose: () => {
      rmSync(path, { recursive: true, force: true });
      return Promise.resolve();
    },
  });
});
