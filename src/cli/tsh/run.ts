import { enableCompileCache } from 'node:module';

// Beside the program, never in a directory that others may write to.
enableCompileCache(new URL('./.cache', import.meta.url).pathname);
const { runAsProcess } = await import('../program.ts');
const { main } = await import('./main.ts');
await runAsProcess((argv) => main(argv));
