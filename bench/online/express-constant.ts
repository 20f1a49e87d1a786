// Bare Express with its own body parser and an answer that is always the same: what the framework alone costs. Arguments:
// the answer, the port.
import express from 'express';

const [, , answer = '', port = '0'] = process.argv;
const app = express();
app.use(express.json());
app.post('/risk-online-prediction', (_request, response) => {
  response.type('application/json').send(answer);
});
app.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
