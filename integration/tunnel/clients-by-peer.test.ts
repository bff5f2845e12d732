import { describeClients } from './client-suite.ts';

await describeClients('a peer');
