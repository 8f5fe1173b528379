# docker build -t photosearch .
# docker run --rm -v ~/Pictures:/photos:ro -v photosearch:/data photosearch index /photos
FROM python:3.12-slim
COPY . /source
RUN pip install --no-cache-dir '/source[raw,mcp]' && rm -r /source && useradd --create-home user && install -d -o user /data
USER user
ENV PHOTOSEARCH_DB=/data/library.db PHOTOSEARCH_MODELS=/data/models
VOLUME /data
ENTRYPOINT ["photosearch"]
CMD ["--help"]
