// The official client for Node: stored files and a transcription.

import OpenAI, { toFile } from 'openai';

const { MODEL: model } = process.env;
const openai = new OpenAI({ maxRetries: 0 });
const pdf = Buffer.from('%PDF-1.4 BT (Attention is all you need) Tj ET');

const file = await openai.files.create({
  file: await toFile(pdf, 'paper.pdf'),
  purpose: 'user_data',
  expires_after: { anchor: 'created_at', seconds: 3600 },
});
const found = [];
for await (const one of openai.files.list({ purpose: 'user_data', limit: 1 })) found.push(one.id);
const content = [
  { type: 'input_file', file_id: file.id },
  { type: 'input_text', text: 'What is in it?' },
];
const response = await openai.responses.create({ model, input: [{ role: 'user', content }] });
const read = await openai.files.retrieve(file.id);
const bytes = await (await openai.files.content(file.id)).text();
const deleted = await openai.files.delete(file.id);
const gone = await openai.files.retrieve(file.id).catch(error => error.status);

const wav = process.argv[2];
const audioFile = () => toFile(Buffer.from(wav, 'base64'), 'memo.wav');
const heard = await openai.audio.transcriptions.create({
  file: await audioFile(),
  model: 'gpt-4o-transcribe',
});
const events = [];
const stream = await openai.audio.transcriptions.create({
  file: await audioFile(),
  model: 'gpt-4o-transcribe',
  stream: true,
});
for await (const event of stream) events.push(event.type);

console.log(
  JSON.stringify({
    name: read.filename,
    lifetime: file.expires_at - file.created_at,
    listed: found.includes(file.id),
    answer: response.output_text,
    same: bytes === pdf.toString(),
    deleted: deleted.deleted,
    gone,
    heard: heard.text,
    events,
  }),
);
